// A failed system call as an Error, with Node's fields and message shapes; and the one place that turns -errno into it.

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

/** What a call was about, for its error. */
export interface ErrnoDetails {
  fd?: number | undefined;
  address?: string | undefined;
  port?: number | undefined;
}

/**
 * A system call failed.
 *
 * The message is as Node's: `EEXIST: file already exists, epoll_ctl`, or, with an address,
 * `bind EADDRINUSE: address already in use 127.0.0.1:8800`.
 *
 * @see errno(3)
 */
export class ErrnoError extends Error {
  override readonly name: string = "ErrnoError";
  /** The symbol: `"EBADF"`. */
  readonly code: string;
  /** The number, negative as in Node: `-9`. */
  readonly errno: number;
  /** The system call: `"epoll_ctl"`. */
  readonly syscall: string;
  /** The descriptor the call was about. */
  declare readonly fd?: number;
  declare readonly address?: string;
  declare readonly port?: number;

  /** @param errno the positive number, as in errno(3) */
  constructor(errno: number, syscall: string, { fd, address, port }: ErrnoDetails = {}) {
    const code = errnoName(errno);
    const message = errnoMessage(errno);
    const endpoint = port ? `${address}:${port}` : address?.replaceAll("\0", "@"); // no brackets, no :0, as in Node
    super(address === undefined ? `${code}: ${message}, ${syscall}` : `${syscall} ${code}: ${message} ${endpoint}`);
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
    if (fd !== undefined) this.fd = fd;
    if (address !== undefined) this.address = address;
    if (port !== undefined) this.port = port;
  }
}

/** Something was used after it was closed. */
export class ClosedError extends Error {
  override readonly name: string = "ClosedError";
  readonly code = "ERR_CLOSED";

  /** @param what the method and its class: `"Epoll.poll"` */
  constructor(what: string) {
    super(`${what}: this ${what.slice(0, what.indexOf("."))} is closed`);
  }
}

/** Return what a system call returned, or throw what its -errno means. */
export function check(result: number, syscall: string, fd?: number): number {
  if (result < 0) throw new ErrnoError(-result, syscall, { fd });
  return result;
}

/** For people and URLs: `127.0.0.1:80`, `[::1]:80`, or a path as it is (an abstract one with `@` for its NUL). */
export function formatEndpoint(address: string, port?: number): string {
  if (port === undefined) return address.replaceAll("\0", "@");
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

// netdb.h: what getaddrinfo returns, with the names that Node gives them.
const lookupNames = new Map([
  [-2, "ENOTFOUND"],
  [-3, "EAI_AGAIN"],
  [-4, "EAI_FAIL"],
  [-5, "ENOTFOUND"],
  [-10, "EAI_MEMORY"],
  [-11, "EAI_SYSTEM"],
]);

/**
 * A host's name has no address. The message is as Node's: `getaddrinfo ENOTFOUND no.such.host`.
 *
 * @see getaddrinfo(3)
 */
export class LookupError extends Error {
  override readonly name: string = "LookupError";
  /** `"ENOTFOUND"`, or `"EAI_AGAIN"` if the resolver did not answer. */
  readonly code: string;
  readonly syscall = "getaddrinfo";
  readonly hostname: string;

  /** @param eai what getaddrinfo returned; 0: it found none */
  constructor(eai: number, hostname: string) {
    const code = lookupNames.get(eai) ?? (eai === 0 ? "ENOTFOUND" : `EAI_${-eai}`);
    super(`getaddrinfo ${code} ${hostname}`);
    this.code = code;
    this.hostname = hostname;
  }
}
