// A file descriptor, wherever one is asked for: the number, or anything that has one.

/** A descriptor's number, or an object with `fileno()`: a Socket, an Epoll. */
export type FdLike = number | { fileno(): number };

/**
 * The number behind it.
 *
 * @throws {TypeError} if it is neither a number nor has `fileno()`
 * @throws {RangeError} if the number cannot be a descriptor
 */
export function toFd(fd: FdLike): number {
  const number = typeof fd === "number" ? fd : typeof fd?.fileno === "function" ? fd.fileno() : undefined;
  if (typeof number !== "number") {
    throw new TypeError(`a file descriptor is a number or has a fileno() method, not ${describe(fd)}`);
  }
  if (!Number.isInteger(number) || number < 0 || number > 0x7fffffff) {
    throw new RangeError(`a file descriptor is a whole number from 0 to 2147483647, not ${number}`);
  }
  return number;
}

function describe(value: unknown): string {
  return typeof value === "string"
    ? JSON.stringify(value)
    : value === null
      ? "null"
      : `a value of type ${typeof value}`;
}
