// class CallDecoder: turns records of system calls into events.

import { type Address, decodeSockaddr } from "../../kernel/address.ts";
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  SHUT_RD,
  SHUT_WR,
  SO_LINGER,
  SOCK_DGRAM,
  SOL_SOCKET,
} from "../../kernel/constants.ts";
import { untracedSyscalls } from "../../kernel/ffi.ts";
import type { CtlEvent, OpenEvent, ReceiveCall, SendCall, TraceDetail, WaitCall, WaitEvent } from "../events.ts";
import type { CallRecord, Part } from "./call-record.ts";
import { CALL_NAMES, EPOLL_EVENT_BYTES, type FollowedCall } from "./followed-calls.ts";
import type { ProcessState } from "./process-state.ts";

/** What the decoder asks about a process while it runs. */
export interface AddressLookup {
  localAddress(pid: number, fd: number): Address | undefined;
  peerAddress(pid: number, fd: number): Address | undefined;
  /** Returns the fd that is registered with the data; undefined if there is none. */
  registeredFd(pid: number, epfd: number, low: number, high: number): number | undefined;
}

/** A decoded record: usually one event. */
export interface Decoded {
  details: TraceDetail[];
  data: Uint8Array | undefined;
}

const NO_ADDRESS: Address = { path: "" };
const UNKNOWN_FD = -1;
/** Added to the index of memory that was copied at the entry; of the number of bytes asked for. */
const AT_ENTRY = 16;
const WANTED = 32;
/** The length of one message of several. */
const MESSAGE_LENGTH = 64;
const TYPE_MASK = 0xf;
const F_SETFL = 4;
const O_NONBLOCK = 0x800;

export class CallDecoder {
  readonly #lookup: AddressLookup;

  constructor(lookup: AddressLookup) {
    this.#lookup = lookup;
  }

  /** Decodes a call that has returned, and records what it has changed. */
  decode(record: CallRecord, state: ProcessState): Decoded {
    const call = CALL_NAMES.get(record.number);
    if (call === undefined) return { details: [], data: undefined };
    const parts = record.parts();
    const data = parts.find(({ index }) => index === (isMessageCall(call) ? 1 : 0))?.bytes;
    const details = this.#details(call, record, parts, state);
    const isTransfer = details.some(({ type }) => type === "recv" || type === "send");
    return { details, data: isTransfer ? data : undefined };
  }

  /** Decodes a call that waits, and has not returned. */
  decodeEntry(record: CallRecord): WaitEvent | undefined {
    const call = CALL_NAMES.get(record.number);
    return call === undefined ? undefined : waitEvent(call, record, record.parts());
  }

  #details(call: FollowedCall, record: CallRecord, parts: Part[], state: ProcessState): TraceDetail[] {
    const { result } = record;
    const fd = record.int(0);
    switch (call) {
      case "epoll_create":
      case "epoll_create1":
        if (result >= 0) state.onOpen(result);
        return [{ type: "create", result, ...(call === "epoll_create" ? { call } : {}) }];
      case "epoll_ctl":
        return [this.#ctl(record, parts, state)];
      case "epoll_wait":
      case "epoll_pwait":
      case "epoll_pwait2":
        return [this.#epollWait(call, record, parts, state)];
      case "poll":
      case "ppoll":
        return [{ ...waitEvent(call, record, parts), ...pollLists(record, parts) }];
      case "select":
      case "pselect6":
        return [{ ...waitEvent(call, record, parts), ...selectLists(record, parts) }];
      case "read":
      case "readv":
      case "pread64":
      case "preadv":
      case "preadv2":
      case "recvfrom":
      case "recvmsg":
      case "recvmmsg":
        return [transfer("recv", call, record, parts)];
      case "write":
      case "writev":
      case "pwrite64":
      case "pwritev":
      case "pwritev2":
      case "sendto":
      case "sendmsg":
      case "sendmmsg":
        return [transfer("send", call, record, parts)];
      case "sendfile":
        return [{ type: "send", call, fd, wanted: record.size(3), result }];
      case "splice": {
        const wanted = record.size(4);
        return [
          { type: "recv", call, fd, wanted, result },
          { type: "send", call, fd: record.int(2), wanted, result },
        ];
      }
      case "socket": {
        if (result >= 0) state.onOpen(result);
        const kind = (record.int(1) & TYPE_MASK) === SOCK_DGRAM ? ({ kind: "datagram" } as const) : {};
        return [{ type: "open", call, result, ...kind }];
      }
      case "bind": {
        const address = addressOf(parts) ?? NO_ADDRESS;
        if (result >= 0) state.bound.set(fd, this.#lookup.localAddress(record.pid, fd) ?? address);
        return [{ type: "bind", fd, address: state.bound.get(fd) ?? address, result }];
      }
      case "listen": {
        const address = this.#lookup.localAddress(record.pid, fd) ?? state.bound.get(fd) ?? NO_ADDRESS;
        const backlog = record.int(1);
        return [{ type: "listen", fd, address, backlog, ...(result < 0 ? { result } : {}) }];
      }
      case "accept":
      case "accept4": {
        if (result >= 0) state.onOpen(result);
        const peer =
          result < 0 ? null : (addressOf(parts) ?? this.#lookup.peerAddress(record.pid, result) ?? NO_ADDRESS);
        return [{ type: "accept", fd, result, peer, ...(call === "accept" ? { call } : {}) }];
      }
      case "connect":
        return [{ type: "connect", fd, address: addressOf(parts) ?? NO_ADDRESS, result }];
      case "shutdown": {
        const how = record.int(1);
        return [{ type: "shutdown", fd, how: how === SHUT_RD ? "RD" : how === SHUT_WR ? "WR" : "RDWR", result }];
      }
      case "close":
        state.onClose(fd);
        return [{ type: "close", fd, result }];
      case "close_range":
        return closeRange(record, state);
      case "dup":
      case "dup2":
      case "dup3":
        return duplicate(call, record, state);
      case "fcntl":
        if (record.int(1) !== F_SETFL) return duplicate(call, record, state);
        return [nonBlocking(call, fd, "O_NONBLOCK", (record.int(2) & O_NONBLOCK) !== 0, result)];
      case "ioctl":
        return [nonBlocking(call, fd, "FIONBIO", (intOf(parts, 1) ?? 0) !== 0, result)];
      case "setsockopt":
        return [this.#option(record, parts)];
      case "socketpair":
      case "pipe":
      case "pipe2": {
        const pair = parts[0]?.bytes;
        if (result < 0 || pair === undefined || pair.length < 8) return [{ type: "open", call, result }];
        const view = viewOf(pair);
        return [0, 4].map((offset) => opened(call, view.getInt32(offset, true), state));
      }
      case "pidfd_getfd":
        return [opened(call, result, state)];
      case "io_uring_enter":
        return [{ type: "call", call, fd, result, note: "its requests and results are in memory that is not traced" }];
      case "eventfd":
      case "eventfd2":
      case "timerfd_create":
      case "inotify_init":
      case "inotify_init1":
      case "pidfd_open":
      case "memfd_create":
      case "io_uring_setup":
        return [opened(call, result, state)];
      case "signalfd":
      case "signalfd4":
        return fd >= 0 ? [{ type: "call", call, fd, result }] : [opened(call, result, state)]; // changes its signals
    }
  }

  #ctl(record: CallRecord, parts: Part[], state: ProcessState): CtlEvent {
    const [epfd, operation, fd] = [record.int(0), record.int(1), record.int(2)];
    const op = operation === EPOLL_CTL_ADD ? "ADD" : operation === EPOLL_CTL_DEL ? "DEL" : "MOD";
    const event = parts[0]?.bytes;
    let mask: number | null = null;
    if (op !== "DEL" && event !== undefined && event.length === EPOLL_EVENT_BYTES) {
      const view = viewOf(event);
      mask = view.getUint32(0, true);
      const low = view.getUint32(EPOLL_EVENT_BYTES - 8, true);
      const high = view.getUint32(EPOLL_EVENT_BYTES - 4, true);
      if (record.result >= 0) state.registered(epfd).set(low, high, fd);
    }
    return { type: "ctl", epfd, op, fd, oldMask: null, mask, result: record.result };
  }

  #epollWait(call: FollowedCall, record: CallRecord, parts: Part[], state: ProcessState): WaitEvent {
    const event = waitEvent(call, record, parts);
    const list = parts.find(({ index }) => index < AT_ENTRY)?.bytes;
    if (list === undefined) return event;
    const view = viewOf(list);
    const registered = state.registered(event.epfd);
    const count = Math.min(record.result, Math.floor(list.length / EPOLL_EVENT_BYTES));
    for (let i = 0; i < count; i++) {
      const at = EPOLL_EVENT_BYTES * i;
      const low = view.getUint32(at + EPOLL_EVENT_BYTES - 8, true);
      const high = view.getUint32(at + EPOLL_EVENT_BYTES - 4, true);
      let fd = registered.get(low, high);
      if (fd === undefined) {
        // A thread is still in the epoll_ctl that has registered it, or it was registered under another fd of the instance.
        fd = this.#lookup.registeredFd(record.pid, event.epfd, low, high) ?? UNKNOWN_FD;
        if (fd !== UNKNOWN_FD) registered.set(low, high, fd);
      }
      event.events.push([fd, view.getUint32(at, true)]);
    }
    return event;
  }

  #option(record: CallRecord, parts: Part[]): TraceDetail {
    const [fd, level, option] = [record.int(0), record.int(1), record.int(2)];
    const { result } = record;
    const bytes = parts[0]?.bytes;
    const value = intOf(parts, 0);
    if (level === SOL_SOCKET && option === SO_LINGER && value !== 0 && bytes?.length === 8) {
      if (viewOf(bytes).getInt32(4, true) === 0) return { type: "reset", fd, result };
    }
    const { optionName } = require("./option-names.ts") as typeof import("./option-names.ts");
    const name = optionName(level, option);
    return { type: "option", call: "setsockopt", fd, name, result, ...(value === undefined ? {} : { value }) };
  }
}

function waitEvent(call: FollowedCall, record: CallRecord, parts: Part[]): WaitEvent {
  const isEpoll = call.startsWith("epoll_");
  const event: WaitEvent = {
    type: "wait",
    epfd: isEpoll ? record.int(0) : UNKNOWN_FD,
    timeoutMs: timeoutOf(call, record, parts),
    maxEvents: call.includes("select") ? record.int(0) : isEpoll ? record.int(2) : record.int(1),
    result: record.result,
    events: [],
    blockedUs: 0,
  };
  if (call !== "epoll_wait") event.call = call as WaitCall;
  return event;
}

/** Returns the timeout in milliseconds; -1 if the call waits indefinitely. */
function timeoutOf(call: FollowedCall, record: CallRecord, parts: Part[]): number {
  if (call === "epoll_wait" || call === "epoll_pwait") return Math.max(-1, record.int(3));
  if (call === "poll") return Math.max(-1, record.int(2));
  const bytes = parts.find(
    ({ index, bytes: { length } }) => index >= AT_ENTRY && index < WANTED && isTime(index, length),
  );
  if (bytes === undefined) return -1;
  const view = viewOf(bytes.bytes);
  const seconds = Number(view.getBigInt64(0, true));
  const rest = Number(view.getBigInt64(8, true));
  return seconds * 1000 + (call === "select" ? rest / 1e3 : rest / 1e6);

  function isTime(index: number, length: number): boolean {
    return length === 16 && index === AT_ENTRY + (call === "ppoll" || call === "epoll_pwait2" ? 0 : 3);
  }
}

/** The fds of poll(2): struct pollfd is an int and two shorts. A negative fd is ignored. */
function pollLists({ result }: CallRecord, parts: Part[]): Pick<WaitEvent, "watched" | "events"> {
  const watched: [number, number][] = [];
  const events: [number, number][] = [];
  const bytes = parts.find(({ index }) => index < AT_ENTRY)?.bytes;
  const view = viewOf(bytes ?? new Uint8Array(0));
  for (let at = 0; at + 8 <= view.byteLength; at += 8) {
    const fd = view.getInt32(at, true);
    if (fd < 0) continue;
    watched.push([fd, view.getUint16(at + 4, true)]);
    const ready = view.getUint16(at + 6, true);
    if (result > 0 && ready !== 0) events.push([fd, ready]);
  }
  return { watched, events };
}

const SET_MASKS = [EPOLLIN, EPOLLOUT, EPOLLPRI];

/** The fds of select(2), in up to three sets. */
function selectLists({ result }: CallRecord, parts: Part[]): Pick<WaitEvent, "watched" | "events"> {
  const pick = (first: number): [number, number][] => {
    const masks = new Map<number, number>();
    for (const [i, mask] of SET_MASKS.entries()) {
      const set = parts.find(({ index }) => index === first + i)?.bytes ?? new Uint8Array(0);
      for (let fd = 0; fd < 8 * set.length; fd++)
        if ((((set[fd >> 3] as number) >> (fd & 7)) & 1) !== 0) masks.set(fd, (masks.get(fd) ?? 0) | mask);
    }
    return [...masks].sort(([a], [b]) => a - b);
  };
  return { watched: pick(AT_ENTRY), events: result > 0 ? pick(4) : [] };
}

function isMessageCall(call: FollowedCall): boolean {
  return call === "recvmsg" || call === "sendmsg" || call === "recvmmsg" || call === "sendmmsg";
}

function transfer(type: "recv" | "send", call: ReceiveCall | SendCall, record: CallRecord, parts: Part[]): TraceDetail {
  const fd = record.int(0);
  let { result } = record;
  let wanted = record.size(2);
  if (call === "recvmmsg" || call === "sendmmsg") {
    wanted = sum(parts, WANTED + 1);
    if (result > 0) result = sum(parts, MESSAGE_LENGTH);
  } else if (isMessageCall(call)) {
    wanted = sum(parts, WANTED + 1);
  } else if (call.includes("v")) {
    if (call !== "recvfrom") wanted = sum(parts, WANTED);
  }
  return { type, call, fd, wanted, result };
}

function sum(parts: Part[], wanted: number): number {
  let total = 0;
  for (const { index, bytes } of parts) {
    if (index !== wanted) continue;
    const view = viewOf(bytes);
    total += bytes.length === 8 ? Number(view.getBigUint64(0, true)) : bytes.length === 4 ? view.getUint32(0, true) : 0;
  }
  return total;
}

function opened(call: string, result: number, state: ProcessState): OpenEvent {
  if (result >= 0) state.onOpen(result);
  return { type: "open", call, result };
}

function duplicate(call: string, record: CallRecord, state: ProcessState): TraceDetail[] {
  const [from, { result }] = [record.int(0), record];
  const details: TraceDetail[] = [];
  if (result >= 0 && result !== from) {
    if (state.fds.has(result)) details.push({ type: "close", fd: result, result: 0 }); // dup2 closes it
    state.onDuplicate(from, result);
  }
  return [...details, { type: "open", call, result, from }];
}

/** close_range(2) closes what is open, or lets execve(2) close it. */
function closeRange(record: CallRecord, state: ProcessState): TraceDetail[] {
  const [first, last] = [record.int(0) >>> 0, record.int(1) >>> 0];
  const CLOSE_RANGE_CLOEXEC = 4;
  const call = "close_range";
  if (record.result < 0 || (record.int(2) & CLOSE_RANGE_CLOEXEC) !== 0)
    return [{ type: "call", call, fd: record.int(0), result: record.result }];
  const closed = [...state.fds].filter((fd) => fd >= first && fd <= last).sort((a, b) => a - b);
  for (const fd of closed) state.onClose(fd);
  return closed.map((fd) => ({ type: "close", fd, result: 0 }));
}

function nonBlocking(call: "fcntl" | "ioctl", fd: number, name: string, isSet: boolean, result: number): TraceDetail {
  return { type: "option", call, fd, name, value: isSet ? 1 : 0, result };
}

function addressOf(parts: Part[]): Address | undefined {
  const bytes = parts[0]?.bytes;
  return bytes === undefined || bytes.length < 2 ? undefined : decodeSockaddr(untracedSyscalls(), bytes);
}

function intOf(parts: Part[], wanted: number): number | undefined {
  const bytes = parts.find(({ index }) => index === wanted)?.bytes;
  return bytes === undefined || bytes.length < 4 ? undefined : viewOf(bytes).getInt32(0, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
