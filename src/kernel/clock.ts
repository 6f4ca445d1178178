// The clock that all timeouts and dates use, so that tests can replace it with a simulated one.

export interface Clock {
  /** Monotonic time in milliseconds, from an arbitrary origin. */
  now(): number;
  /** System time in milliseconds since 1970-01-01 UTC. */
  wall(): number;
}

export const hostClock: Clock = { now: () => performance.now(), wall: () => Date.now() };
