// How many idle descriptors: the fewest that are measured, and the most.

export const MIN_FDS = 10;
export const DEFAULT_MAX_FDS = 20_000;
/** Sockets take a kilobyte or two of the kernel's memory each; beyond that many it is not for a demonstration. */
export const MAX_FDS = 100_000;
