// The environment variable that selects another libuv, or turns epoll-hello/libuv off.

export const LIBUV_VARIABLE = "EPOLL_HELLO_LIBUV";
/** The value that turns it off. */
export const OFF = "off";
/** The name by which the dynamic linker finds libuv, on every distribution. */
const SONAME = "libuv.so.1";

/** Returns the path or name of the libuv to open, or undefined if `epoll-hello/libuv` is turned off. */
export function chosenLibuv(): string | undefined {
  const value = process.env[LIBUV_VARIABLE] || SONAME;
  return value === OFF ? undefined : value;
}
