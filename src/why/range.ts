// How many idle descriptors: the fewest that are measured, and the most.

export const FEWEST = 10;
export const DEFAULT_MOST = 20_000;
/** Sockets take a kilobyte or two of the kernel's memory each; beyond that many it is not for a demonstration. */
export const MOST = 100_000;
