// The tokens that are registered with each fd and come back with its events: they tell what an event is about.

/** The listening sockets. */
export const LISTENER = 0;

/** The fds that are watched with `onReadable`. */
export const WAKE_UP = 1;

/** From here on, each connection has its own token, so that an event of an earlier connection with the same fd is recognized. */
export const FIRST_CONNECTION = 2;

const LAST_TOKEN = 0xffffffff; // the event has room for 32 bits beside the fd

/** Returns the token of the next connection. After 2^32 connections the tokens start again at FIRST_CONNECTION. */
export function tokenAfter(token: number): number {
  return token === LAST_TOKEN ? FIRST_CONNECTION : token + 1;
}
