// The tokens registered with epoll, which returns them with each event: they say which kind of fd the event is for.

/** The listening sockets. */
export const LISTENER = 0;

/** The fds that are watched with `onReadable`. */
export const WATCHED_FD = 1;

/** The first token of a connection. Each has its own, so that a stale event of an earlier connection with the same fd is detected. */
export const FIRST_CONNECTION = 2;
