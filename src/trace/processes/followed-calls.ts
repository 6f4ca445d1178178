// The system calls that are followed in other processes: their numbers, and which memory belongs to them.

const isX64: boolean = process.arch === "x64";
/** The size of struct epoll_event, which is packed on x86-64 only. */
export const EPOLL_EVENT_BYTES: number = isX64 ? 12 : 16;

// Flags of a call, and kinds of memory: as in native/ptrace.c.
const WAITS = 1;
const ON_FD = 2;
const CLOSES = 4;
const OPENS = 8;
const DUPLICATES = 16;
const CLOSES_RANGE = 32;
const FILTERS = 64;

const FIXED = 1;
const COUNTED = 2;
const RESULT = 3;
const DATA = 4;
const IOVEC = 5;
const MESSAGE = 6;
const MESSAGES = 7;
const ADDRESS_IN = 8;
const ADDRESS_OUT = 9;
const SET = 10;
/** Not memory: a value of the second argument for which the call is followed. */
const VALUE = 255;

/** Kind, indexes of the arguments with the address and the length, whether it is copied at the entry, and the size of an element. */
type Piece = readonly [kind: number, address: number, count: number, atEntry: boolean, size: number];

const fixed = (address: number, size: number): Piece => [FIXED, address, 0, false, size];
const fixedAtEntry = (address: number, size: number): Piece => [FIXED, address, 0, true, size];
const setAtEntry = (address: number): Piece => [SET, address, 0, true, 0];
const setAtExit = (address: number): Piece => [SET, address, 0, false, 0];
const value = (argument: number): Piece => [VALUE, 0, 0, false, argument];
const readyEvents: Piece = [RESULT, 1, 0, false, EPOLL_EVENT_BYTES];
const pollFds: Piece = [COUNTED, 0, 1, false, 8];
const data: Piece = [DATA, 1, 2, false, 0];
const buffers: Piece = [IOVEC, 1, 2, false, 0];
const message: Piece = [MESSAGE, 1, 0, false, 0];
const messages: Piece = [MESSAGES, 1, 0, false, 0];
const addressIn: Piece = [ADDRESS_IN, 1, 2, false, 0];
const addressOut: Piece = [ADDRESS_OUT, 1, 2, false, 0];

const selectPieces: readonly Piece[] = [1, 2, 3]
  .map(setAtEntry)
  .concat([fixedAtEntry(4, 16)], [1, 2, 3].map(setAtExit));

/** A followed call: its number on x86-64 and on arm64 (-1: it does not exist), flags, and memory. */
type Row = readonly [x64: number, arm64: number, flags: number, pieces: readonly Piece[]];

const F_DUPFD = 0;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const FIONBIO = 0x5421;

/** The name of a followed call. */
export type FollowedCall =
  | "epoll_create"
  | "epoll_create1"
  | "epoll_ctl"
  | "epoll_wait"
  | "epoll_pwait"
  | "epoll_pwait2"
  | "poll"
  | "ppoll"
  | "select"
  | "pselect6"
  | "read"
  | "readv"
  | "pread64"
  | "preadv"
  | "preadv2"
  | "recvfrom"
  | "recvmsg"
  | "recvmmsg"
  | "write"
  | "writev"
  | "pwrite64"
  | "pwritev"
  | "pwritev2"
  | "sendto"
  | "sendmsg"
  | "sendmmsg"
  | "sendfile"
  | "splice"
  | "socket"
  | "socketpair"
  | "bind"
  | "listen"
  | "accept"
  | "accept4"
  | "connect"
  | "shutdown"
  | "close"
  | "close_range"
  | "dup"
  | "dup2"
  | "dup3"
  | "fcntl"
  | "ioctl"
  | "setsockopt"
  | "eventfd"
  | "eventfd2"
  | "timerfd_create"
  | "signalfd"
  | "signalfd4"
  | "inotify_init"
  | "inotify_init1"
  | "pidfd_open"
  | "pidfd_getfd"
  | "memfd_create"
  | "pipe"
  | "pipe2"
  | "io_uring_setup"
  | "io_uring_enter";

const CALLS: Readonly<Record<FollowedCall, Row>> = {
  epoll_create: [213, -1, OPENS, []],
  epoll_create1: [291, 20, OPENS, []],
  epoll_ctl: [233, 21, 0, [fixed(3, EPOLL_EVENT_BYTES)]],
  epoll_wait: [232, -1, WAITS, [readyEvents]],
  epoll_pwait: [281, 22, WAITS, [readyEvents]],
  epoll_pwait2: [441, 441, WAITS, [fixedAtEntry(3, 16), readyEvents]],
  poll: [7, -1, WAITS, [pollFds]],
  ppoll: [271, 73, WAITS, [fixedAtEntry(2, 16), pollFds]],
  select: [23, -1, WAITS, selectPieces],
  pselect6: [270, 72, WAITS, selectPieces],
  read: [0, 63, ON_FD, [data]],
  readv: [19, 65, ON_FD, [buffers]],
  pread64: [17, 67, ON_FD, [data]],
  preadv: [295, 69, ON_FD, [buffers]],
  preadv2: [327, 286, ON_FD, [buffers]],
  recvfrom: [45, 207, 0, [data]],
  recvmsg: [47, 212, 0, [message]],
  recvmmsg: [299, 243, 0, [messages]],
  write: [1, 64, ON_FD, [data]],
  writev: [20, 66, ON_FD, [buffers]],
  pwrite64: [18, 68, ON_FD, [data]],
  pwritev: [296, 70, ON_FD, [buffers]],
  pwritev2: [328, 287, ON_FD, [buffers]],
  sendto: [44, 206, 0, [data]],
  sendmsg: [46, 211, 0, [message]],
  sendmmsg: [307, 269, 0, [messages]],
  sendfile: [40, 71, ON_FD, []],
  splice: [275, 76, 0, []],
  socket: [41, 198, OPENS, []],
  socketpair: [53, 199, 0, [fixed(3, 8)]],
  bind: [49, 200, 0, [addressIn]],
  listen: [50, 201, 0, []],
  accept: [43, 202, OPENS, [addressOut]],
  accept4: [288, 242, OPENS, [addressOut]],
  connect: [42, 203, 0, [addressIn]],
  shutdown: [48, 210, 0, []],
  close: [3, 57, CLOSES, []],
  close_range: [436, 436, CLOSES_RANGE, []],
  dup: [32, 23, DUPLICATES, []],
  dup2: [33, -1, DUPLICATES, []],
  dup3: [292, 24, DUPLICATES, []],
  fcntl: [72, 25, DUPLICATES | FILTERS, [value(F_DUPFD), value(F_SETFL), value(F_DUPFD_CLOEXEC)]],
  ioctl: [16, 29, FILTERS, [value(FIONBIO), fixed(2, 4)]],
  setsockopt: [54, 208, 0, [[ADDRESS_IN, 3, 4, false, 0]]],
  eventfd: [284, -1, OPENS, []],
  eventfd2: [290, 19, OPENS, []],
  timerfd_create: [283, 85, OPENS, []],
  signalfd: [282, -1, OPENS, []],
  signalfd4: [289, 74, OPENS, []],
  inotify_init: [253, -1, OPENS, []],
  inotify_init1: [294, 26, OPENS, []],
  pidfd_open: [434, 434, OPENS, []],
  pidfd_getfd: [438, 438, 0, []],
  memfd_create: [319, 279, 0, []],
  pipe: [22, -1, 0, [fixed(0, 8)]],
  pipe2: [293, 59, 0, [fixed(0, 8)]],
  io_uring_setup: [425, 425, OPENS, []],
  io_uring_enter: [426, 426, 0, []],
};

const MAX_PIECES = 7;
const ROW_INTS = 2 + 2 * MAX_PIECES;

const entries: readonly [FollowedCall, number, Row][] = Object.entries(CALLS).flatMap(([name, row]) => {
  const number = isX64 ? row[0] : row[1];
  return number < 0 ? [] : [[name as FollowedCall, number, row]];
});

/** The names of the followed calls, by number. */
export const CALL_NAMES: ReadonlyMap<number, FollowedCall> = new Map(entries.map(([name, number]) => [number, name]));

/** Returns the table for `tracer_open`, and the number of its rows. */
export function callRows(): [rows: Int32Array, count: number] {
  const rows = new Int32Array(new ArrayBuffer(4 * ROW_INTS * entries.length));
  for (const [i, [, number, [, , flags, pieces]]] of entries.entries()) {
    rows.set([number, flags], ROW_INTS * i);
    for (const [j, [kind, address, count, atEntry, size]] of pieces.entries()) {
      const packed = kind | (address << 8) | (count << 16) | (atEntry ? 1 << 24 : 0);
      rows.set([packed, size], ROW_INTS * i + 2 + 2 * j);
    }
  }
  return [rows, entries.length];
}

const RESTART_SYSCALL: number = isX64 ? 219 : 128;
const AUDIT_ARCH: number = isX64 ? 0xc000003e : 0xc00000b7;
const RET_TRACE = 0x7ff00000;
const RET_ALLOW = 0x7fff0000;
/** Load a word of struct seccomp_data; jump if equal; return. See seccomp(2), linux/bpf_common.h. */
const LOAD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const NUMBER_OFFSET = 0;
const ARCH_OFFSET = 4;
const SECOND_ARGUMENT_OFFSET = 24;

type Instruction = [code: number, ifTrue: number, ifFalse: number, k: number];

/**
 * Returns a seccomp filter with which the kernel stops a program at followed calls only. The kernel remembers which calls it always
 * allows, and no longer runs the filter for them.
 *
 * @see seccomp(2)
 */
export function seccompFilter(): [program: Uint8Array, length: number] {
  const traceIfEqual = (k: number): Instruction[] => [
    [JUMP_IF_EQUAL, 0, 1, k],
    [RETURN, 0, 0, RET_TRACE],
  ];
  const allow: Instruction = [RETURN, 0, 0, RET_ALLOW];
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCH_OFFSET],
    [JUMP_IF_EQUAL, 1, 0, AUDIT_ARCH],
    allow,
    [LOAD, 0, 0, NUMBER_OFFSET],
    ...traceIfEqual(RESTART_SYSCALL),
  ];
  for (const [, number, [, , flags, pieces]] of entries) {
    if ((flags & FILTERS) === 0) {
      program.push(...traceIfEqual(number));
      continue;
    }
    const values = pieces.filter(([kind]) => kind === VALUE).flatMap(([, , , , size]) => traceIfEqual(size));
    const block: Instruction[] = [[LOAD, 0, 0, SECOND_ARGUMENT_OFFSET], ...values, allow];
    program.push([JUMP_IF_EQUAL, 0, block.length, number], ...block);
  }
  program.push(allow);
  const bytes = new DataView(new ArrayBuffer(8 * program.length));
  for (const [i, [code, ifTrue, ifFalse, k]] of program.entries()) {
    bytes.setUint16(8 * i, code, true);
    bytes.setUint8(8 * i + 2, ifTrue);
    bytes.setUint8(8 * i + 3, ifFalse);
    bytes.setUint32(8 * i + 4, k, true);
  }
  return [new Uint8Array(bytes.buffer), program.length];
}
