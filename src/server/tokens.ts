// The tokens that are registered with each fd and come back with its events: they tell what an event is about.

/** The listening sockets. */
export const LISTENER = 0;

/** The fds that are watched with `onReadable`. */
export const WAKE_UP = 1;

/** From here on, each connection has its own token, so that an event of an earlier connection with the same fd is recognized. */
export const FIRST_CONNECTION = 2;
