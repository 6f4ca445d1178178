// File descriptors kept for the debugger, because the program that it debugs may use up all of them.

import { EFD_CLOEXEC, F_DUPFD_CLOEXEC } from "../kernel/constants.ts";
import { EMFILE, ENFILE } from "../kernel/errno.ts";
import { type Syscalls, untracedSyscalls } from "../kernel/ffi.ts";

/** A browser opens six connections for the page, and a query needs one fd at a time. */
const SPARE_FDS = 8;
/** They get high numbers, if the limit of open files is above this, so that those of the program stay low. */
const HIGH_NUMBER = 240;

const spares: number[] = [];
/** How many reservations there are. */
let reservations = 0;

/** Opens the spare file descriptors. They are closed when all reservations have been disposed. */
export function reserveSpareFds(): Disposable {
  reservations++;
  refill();
  let isHeld = true;
  return {
    [Symbol.dispose]() {
      if (!isHeld) return;
      isHeld = false;
      if (--reservations === 0) for (const fd of spares.splice(0)) untracedSyscalls().close(fd);
    },
  };
}

/** Runs something that opens a file descriptor and closes it again. If none is free, a spare one makes room for it. */
export function withSpareFd<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!lacksFds(error) || !release()) throw error;
  }
  try {
    return work();
  } finally {
    refill();
  }
}

/** Returns `sys` with an accept4 that uses a spare file descriptor if no other is free. */
export function acceptsWithSpareFds(sys: Syscalls): Syscalls {
  return {
    ...sys,
    accept4: (fd, address, flags) => {
      const result = sys.accept4(fd, address, flags);
      if (result === -EMFILE && release()) return sys.accept4(fd, address, flags);
      return result;
    },
    close: (fd) => {
      const result = sys.close(fd);
      refill();
      return result;
    },
  };
}

function lacksFds(error: unknown): boolean {
  const { code, errno = 0 } = error as { code?: unknown; errno?: number };
  return code === "EMFILE" || code === "ENFILE" || [EMFILE, ENFILE].includes(Math.abs(errno));
}

/** Closes a spare file descriptor. Returns whether there was one. */
function release(): boolean {
  const fd = spares.pop();
  if (fd === undefined) return false;
  untracedSyscalls().close(fd);
  return true;
}

function refill(): void {
  while (reservations > 0 && spares.length < SPARE_FDS) {
    const fd = openSpare(untracedSyscalls());
    if (fd < 0) return; // none is free: there are fewer spares until one is
    spares.push(fd);
  }
}

function openSpare(sys: Syscalls): number {
  const low = sys.eventfd(0, EFD_CLOEXEC);
  if (low < 0) return low;
  const high = sys.fcntl(low, F_DUPFD_CLOEXEC, HIGH_NUMBER);
  if (high < 0) return low;
  sys.close(low);
  return high;
}
