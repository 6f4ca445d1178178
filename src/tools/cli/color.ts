// Whether to color output: FORCE_COLOR, then NO_COLOR, then whether the stream is a terminal.

/**
 * @param fd 1 for standard output, 2 for standard error
 * @see https://no-color.org and https://force-color.org
 */
export function hasColor(fd: 1 | 2): boolean {
  const { FORCE_COLOR, NO_COLOR, TERM } = process.env;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "") return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
  if (NO_COLOR || TERM === "dumb") return false;
  return process.getBuiltinModule("node:tty").isatty(fd); // loaded only now, because that takes several milliseconds
}
