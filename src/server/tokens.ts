// The tokens registered with epoll, which returns them with each event: they say which kind of fd the event is for.

/** The listening sockets. */
export const LISTENER = 0;

/** The fds that are watched with `onReadable`. */
export const WATCHED_FD = 1;

/** The first token of a connection. Each connection has its own, so that stale events for a reused fd are detected. */
export const FIRST_CONNECTION = 2;
