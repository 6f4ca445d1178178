// Keys of file descriptors: the same number means another file in another process.

/** Numbers of fds are smaller. */
const FD_RANGE = 2 ** 31;

/**
 * Identifies an fd of a process. In a trace of this process, whose events have no `pid`, it is the number of the fd. Others are safe
 * integers as well: pids have at most 22 bits.
 */
export type FdKey = number;

/** Returns the key of an fd. */
export function fdKey(fd: number, pid: number | undefined): FdKey {
  return pid === undefined ? fd : pid * FD_RANGE + fd;
}

/** Returns the number of the fd with this key. */
export function fdOfKey(key: FdKey): number {
  return key % FD_RANGE;
}

/** Returns the process of the fd with this key; undefined if it is this process. */
export function pidOfKey(key: FdKey): number | undefined {
  return key < FD_RANGE ? undefined : Math.floor(key / FD_RANGE);
}
