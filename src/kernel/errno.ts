// Error numbers of system calls, with their names and messages.

export const EPERM = 1;
export const ENOENT = 2;
export const ENOEXEC: number = 8;
export const EINTR = 4;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const ENOTDIR = 20;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ENOSPC = 28;
export const EPIPE = 32;
export const ENAMETOOLONG = 36;
export const ENOSYS = 38;
export const ELOOP = 40;
export const EPROTO = 71;
export const EOPNOTSUPP = 95;
export const EADDRINUSE = 98;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
export const ENOBUFS = 105;
export const ENOTCONN = 107;
export const EINPROGRESS = 115;

interface ErrnoTables {
  names: Map<number, string>;
  /** libuv's names and messages, by negative errno. */
  libuv: Map<number, [name: string, message: string]>;
}

let tables: ErrnoTables | undefined;

/** Returns the tables of node:os and node:util. Loading them takes a few milliseconds, so the first error does it. */
function errnoTables(): ErrnoTables {
  if (tables !== undefined) return tables;
  const os = process.getBuiltinModule("node:os");
  const libuv = process.getBuiltinModule("node:util").getSystemErrorMap();
  const names = new Map<number, string>(Object.entries(os.constants.errno).map(([name, number]) => [number, name]));
  // node:os lacks some socket errors that libuv has, such as ESOCKTNOSUPPORT and EHOSTDOWN.
  for (const [number, [name]] of libuv) if (!names.has(-number)) names.set(-number, name);
  names.set(109, "ETOOMANYREFS"); // missing in both
  names.set(EAGAIN, "EAGAIN"); // instead of its alias EWOULDBLOCK
  names.set(95, "EOPNOTSUPP"); // instead of its alias ENOTSUP
  return (tables = { names, libuv });
}

/** Messages for errors of sockets and epoll that libuv has no message for. */
const messagesBeyondLibuv = new Map([
  ["EBADMSG", "bad message"],
  ["ECHILD", "no child processes"],
  ["EDEADLK", "resource deadlock avoided"],
  ["EDOM", "numerical argument out of domain"],
  ["EIDRM", "identifier removed"],
  ["EMULTIHOP", "multihop attempted"],
  ["ENOLCK", "no locks available"],
  ["ENOMSG", "no message of desired type"],
  ["ENOSR", "out of streams resources"],
  ["ENOSTR", "device not a stream"],
  ["ESTALE", "stale file handle"],
  ["ETIME", "timer expired"],
  ["EINPROGRESS", "operation now in progress"],
  ["ENETRESET", "connection reset by network"],
  ["EDQUOT", "disk quota exceeded"],
  ["ENOLINK", "link has been severed"],
  ["ETOOMANYREFS", "too many references: cannot splice"],
]);

/** Sets the errno names in a browser, where node:os is not available: the inspector's server sends them. */
export function setErrnoNames(names: Iterable<readonly [errno: number, name: string]>): void {
  tables = { names: new Map(names), libuv: new Map() };
}

/** Returns all known errno names by number. */
export function errnoNames(): ReadonlyMap<number, string> {
  return errnoTables().names;
}

/** Returns the name of an errno, such as `"EAGAIN"` for 11. */
export function errnoName(errno: number): string {
  return errnoTables().names.get(errno) ?? `E${errno}`;
}

/** Returns the message of an errno in libuv's words, such as `"bad file descriptor"` for 9. */
export function errnoMessage(errno: number): string {
  return errnoTables().libuv.get(-errno)?.[1] ?? messagesBeyondLibuv.get(errnoName(errno)) ?? "unknown error";
}
