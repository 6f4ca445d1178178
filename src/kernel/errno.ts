// Error numbers of system calls, with their names and messages.

export const ENOENT = 2;
export const EINTR = 4;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ENOSPC = 28;
export const EPIPE = 32;
export const EPROTO = 71;
export const EADDRINUSE = 98;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
export const ENOBUFS = 105;
export const ENOTCONN = 107;
export const EINPROGRESS = 115;

let tables: { names: Map<number, string>; messages: Map<number, [name: string, message: string]> } | undefined;

/** What Node knows of errors. Loaded with the first one: it takes some milliseconds. */
function known(): NonNullable<typeof tables> {
  if (tables !== undefined) return tables;
  const os = process.getBuiltinModule("node:os");
  const messages = process.getBuiltinModule("node:util").getSystemErrorMap();
  const names = new Map<number, string>(Object.entries(os.constants.errno).map(([name, number]) => [number, name]));
  // node:os lacks some that sockets can give, ESOCKTNOSUPPORT and EHOSTDOWN among them; libuv's table has those.
  for (const [number, [name]] of messages) if (!names.has(-number)) names.set(-number, name);
  names.set(109, "ETOOMANYREFS"); // and this one neither has
  names.set(EAGAIN, "EAGAIN"); // not its alias EWOULDBLOCK
  names.set(95, "EOPNOTSUPP"); // not its alias ENOTSUP
  return (tables = { names, messages });
}

// libuv's sentences, which Node prints, lack these, which sockets and epoll can give.
const missing = new Map([
  ["EDOM", "numerical argument out of domain"],
  ["EINPROGRESS", "operation now in progress"],
  ["ENETRESET", "connection reset by network"],
  ["EDQUOT", "disk quota exceeded"],
  ["ENOLINK", "link has been severed"],
  ["ETOOMANYREFS", "too many references: cannot splice"],
]);

/** Where there is no Node to ask, in a browser: what is known where there is. */
export function setErrnoNames(names: Iterable<readonly [errno: number, name: string]>): void {
  tables = { names: new Map(names), messages: new Map() };
}

export function errnoNames(): ReadonlyMap<number, string> {
  return known().names;
}

/** The symbol of an errno, such as `"EAGAIN"` for 11. */
export function errnoName(errno: number): string {
  return known().names.get(errno) ?? `E${errno}`;
}

/** What an errno means, in libuv's words: `"bad file descriptor"` for 9. */
export function errnoMessage(errno: number): string {
  return known().messages.get(-errno)?.[1] ?? missing.get(errnoName(errno)) ?? "unknown error";
}
