// The range of file descriptors that the comparison measures.

export const MIN_FDS = 10;
export const DEFAULT_MAX_FDS = 20_000;
/** Each socket takes one or two kilobytes of kernel memory. */
export const MAX_FDS = 100_000;
