// Bindings of native/select-poll.c: select(2), poll(2) and epoll_wait(2), each repeated in a C loop.

import source from "../../../native/select-poll.c" with { type: "text" };
import { bytes, compile, int, type Signatures } from "../../kernel/ffi.ts";

/** Each function makes a call `times` times, waiting indefinitely, and returns the readable fd, or -errno. */
export interface SelectPoll {
  /** select(2). `interest` is an fd_set. */
  select_times(interest: Int32Array, nfds: number, times: number): number;
  /** poll(2). `fds` is an array of `n` structs pollfd of 8 bytes: the fd, then 16 bits each for events and revents. */
  poll_times(fds: Int32Array, n: number, times: number): number;
  /** epoll_wait(2), with room for one event. */
  epoll_wait_times(epfd: number, times: number): number;
}

const signatures: Signatures<SelectPoll> = {
  select_times: [bytes, int, int],
  poll_times: [bytes, int, int],
  epoll_wait_times: [int, int],
};

let table: SelectPoll | undefined;

/** Compiles the functions on first use. @throws {Error} as `syscalls` does */
export function selectPoll(): SelectPoll {
  return (table ??= compile(source, signatures));
}
