// The kernel's view of another process's fds. Questions about them change nothing.

import { EBADF } from "../../kernel/errno.ts";
import { type Syscalls, untracedSyscalls } from "../../kernel/ffi.ts";
import { interestListOf, openFileNameOf } from "../interest-list.ts";
import type { FdSyscalls } from "../kernel-queries.ts";
import type { KernelView } from "../kernel-view.ts";
import { nativeTracer } from "./native-tracer.ts";

/** For poll(2): the fd is not open. */
const POLLNVAL = 0x20;

/**
 * Returns the kernel's view of a process's fds. Each question duplicates the fd into this process, asks, and closes the duplicate at
 * once, because a file is open as long as a duplicate is. Asking needs the same permission as tracing; without it, calls fail with EPERM.
 *
 * @see pidfd_getfd(2)
 */
export function kernelOf(pid: number): KernelView {
  return {
    pid,
    sys: remoteSyscalls(pid),
    interestList: (epfd) => interestListOf(pid, epfd),
    openFileName: (fd) => openFileNameOf(pid, fd),
  };
}

/**
 * Calls `ask` with a duplicate of a process's fd, and closes it.
 *
 * @returns the result, or -errno if there is no such process or fd, or asking is not permitted
 */
export function withDuplicate(pid: number, fd: number, ask: (duplicate: number, sys: Syscalls) => number): number {
  const sys = untracedSyscalls();
  const pidfd = sys.pidfd_open(pid, 0);
  if (pidfd < 0) return pidfd;
  const duplicate = fd < 0 ? -EBADF : nativeTracer().pidfd_getfd(pidfd, fd);
  sys.close(pidfd);
  if (duplicate < 0) return duplicate;
  try {
    return ask(duplicate, sys);
  } finally {
    sys.close(duplicate);
  }
}

function remoteSyscalls(pid: number): FdSyscalls {
  const own = untracedSyscalls();
  const ask = withDuplicate.bind(undefined, pid);
  return {
    poll: (fds, count, timeoutMs) => pollRemote(pid, fds, count, timeoutMs),
    getsockopt: (fd, level, name, value, length) =>
      ask(fd, (own, sys) => sys.getsockopt(own, level, name, value, length)),
    ioctl: (fd, command) => ask(fd, (own, sys) => sys.ioctl(own, command)),
    fcntl: (fd, command, argument) => ask(fd, (own, sys) => sys.fcntl(own, command, argument)),
    getsockname: (fd, address) => ask(fd, (own, sys) => sys.getsockname(own, address)),
    getpeername: (fd, address) => ask(fd, (own, sys) => sys.getpeername(own, address)),
    // The instance is one of this process. It goes on watching the file when the duplicate is closed, because the process has it open.
    epoll_create1: (flags) => own.epoll_create1(flags),
    epoll_ctl: (epfd, op, fd, mask, token) => ask(fd, (own, sys) => sys.epoll_ctl(epfd, op, own, mask, token)),
    epoll_wait: (epfd, out, max, timeoutMs) => own.epoll_wait(epfd, out, max, timeoutMs),
    close: (fd) => own.close(fd),
  };
}

/** Pairs of an fd and its events, as in Syscalls.poll. */
function pollRemote(pid: number, fds: Int32Array, count: number, timeoutMs: number): number {
  const sys = untracedSyscalls();
  const pidfd = sys.pidfd_open(pid, 0);
  if (pidfd < 0) return pidfd;
  const own = new Int32Array(new ArrayBuffer(8 * count));
  try {
    for (let i = 0; i < count; i++) {
      own[2 * i] = nativeTracer().pidfd_getfd(pidfd, fds[2 * i] as number);
      own[2 * i + 1] = fds[2 * i + 1] as number;
    }
    let ready = sys.poll(own, count, timeoutMs); // negative fds are ignored
    if (ready < 0) return ready;
    for (let i = 0; i < count; i++) {
      const isOpen = (own[2 * i] as number) >= 0;
      if (!isOpen) ready++;
      const asked = (fds[2 * i + 1] as number) & 0xffff;
      fds[2 * i + 1] = isOpen ? (own[2 * i + 1] as number) : (POLLNVAL << 16) | asked;
    }
    return ready;
  } finally {
    for (let i = 0; i < count; i++) if ((own[2 * i] as number) > 0) sys.close(own[2 * i] as number);
    sys.close(pidfd);
  }
}
