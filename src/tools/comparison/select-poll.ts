// The three calls, each many times in a row: native/select-poll.c.

import source from "../../../native/select-poll.c" with { type: "text" };
import { bytes, compile, int, type Signatures } from "../../kernel/ffi.ts";

/** Each returns the descriptor that can be read, or -errno. */
export interface SelectPoll {
  /** `times` times select(2), for ever, for what can be read; the lowest descriptor that can. `interest` is an fd_set. */
  select_times(interest: Int32Array, nfds: number, times: number): number;
  /** The same by poll(2); `fds` has `n` structs pollfd, 8 bytes each: the descriptor, then 16 bits of events and of answer. */
  poll_times(fds: Int32Array, n: number, times: number): number;
  /** The same by epoll_wait(2), one event at a time. */
  epoll_wait_times(epfd: number, times: number): number;
}

const signatures: Signatures<SelectPoll> = {
  select_times: [bytes, int, int],
  poll_times: [bytes, int, int],
  epoll_wait_times: [int, int],
};

let table: SelectPoll | undefined;

/** @throws {Error} see syscalls */
export function selectPoll(): SelectPoll {
  return (table ??= compile(source, signatures));
}
