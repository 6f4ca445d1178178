// The one clock: all that waits or dates asks it, so that a simulated one can take its place.

export interface Clock {
  /** Milliseconds since some moment; never steps back. */
  now(): number;
  /** Milliseconds since 1970, as the system has it. */
  wall(): number;
}

export const hostClock: Clock = { now: () => performance.now(), wall: () => Date.now() };
