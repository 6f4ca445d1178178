// The system calls that a trace reports, as a table: for each call, the event that describes it.

import { Buffer } from "node:buffer";
import { addressBuffer, decodeAddress } from "../kernel/address.ts";
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, SHUT_RD, SHUT_WR, SO_LINGER, SOL_SOCKET } from "../kernel/constants.ts";
import { EBADF } from "../kernel/errno.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import type { CallSite } from "./caller-line.ts";
import { type CtlEvent, type TraceEvent, type TraceMoment, type TransferEvent } from "./events.ts";
import type { DataRedactor } from "./redact.ts";
import type { Registration, Registrations } from "./registrations.ts";
import { endsWithBlankLine, StartLineParser, toLatin1 } from "./start-line.ts";

/**
 * The fields of TraceMoment before the event is emitted, which sets them. Every event is created with them, because adding them
 * later would mean copying the event.
 */
export const UNSTAMPED: TraceMoment = { seq: 0, us: 0, iteration: 0 };

/** The part of a tracer that the wrapped calls use. */
export interface CallRecorder {
  /** Include received and sent data in the events. */
  readonly hasBytes: boolean;
  /** Redacts credentials in start lines and data; undefined: they are included. */
  readonly redactor: DataRedactor | undefined;
  /** What is registered with the epoll instances. */
  readonly registrations: Registrations;
  /** The registrations that the fd which the last call has closed still had. */
  closed: readonly Registration[];
  /** Whether the data of the last read ended with an empty line. */
  endsWithBlankLine: boolean;
  /** Called before each call. The time is attributed to `fd`, if it is given. */
  beginCall(fd: number | undefined): void;
  emit(event: TraceEvent): void;
  /** Called when the program gives an fd to another owner. */
  handOver(fd: number): void;
  /** The call in the program, if call sites are recorded. */
  createSite(): CallSite | undefined;
}

type Call = keyof Syscalls;

interface Row<Name extends Call> {
  /** The index of the argument that is the dispatched fd; undefined if the call does not begin a dispatch. */
  fdArgument?: 0 | 2;
  /** Returns the event for a call that has returned; undefined if the call is not reported. */
  event(result: number, ...args: Parameters<Syscalls[Name]>): TraceEvent | undefined;
}

type Table = { [Name in Call]?: Row<Name> };

const OPERATIONS: Record<number, CtlEvent["op"]> = { [EPOLL_CTL_ADD]: "ADD", [EPOLL_CTL_DEL]: "DEL" };

/** The system calls of an event loop, except epoll_wait, which the tracer handles itself. */
export function loopCalls(sys: Syscalls, recorder: CallRecorder): Table {
  const received = new StartLineParser(sys, recorder.redactor !== undefined);
  const sent = new StartLineParser(sys, recorder.redactor !== undefined);
  return {
    epoll_create1: {
      event: (result) => ({ ...UNSTAMPED, type: "create", result }),
    },
    epoll_ctl: {
      fdArgument: 2,
      event: (result, epfd, operation, fd, events) => {
        const op = OPERATIONS[operation] ?? "MOD";
        return ctlEvent(recorder, epfd, op, fd, op === "DEL" ? null : events >>> 0, result);
      },
    },
    accept4: {
      fdArgument: 0,
      event: (result, fd, peer) => {
        recorder.redactor?.forget(result); // an earlier file with this number may have been closed by other means
        const address = result < 0 ? null : decodeAddress(sys, toBytes(peer));
        return { ...UNSTAMPED, type: "accept", fd, result, peer: address };
      },
    },
    recv: {
      fdArgument: 0,
      event: (result, fd, bytes, offset, wanted) =>
        transferEvent("recv", fd, wanted, result, bytes, offset, received, recorder),
    },
    send: {
      fdArgument: 0,
      event: (result, fd, bytes, offset, wanted) =>
        transferEvent("send", fd, wanted, result, bytes, offset, sent, recorder),
    },
    shutdown: {
      fdArgument: 0,
      event: (result, fd, how) => ({
        ...UNSTAMPED,
        type: "shutdown",
        fd,
        how: how === SHUT_RD ? "RD" : how === SHUT_WR ? "WR" : "RDWR",
        result,
      }),
    },
    setsockopt: {
      event: (result, fd, level, name) =>
        level === SOL_SOCKET && name === SO_LINGER ? { ...UNSTAMPED, type: "reset", fd, result } : undefined,
    },
    close: {
      fdArgument: 0,
      event: (result, fd) => {
        recorder.redactor?.forget(fd);
        recorder.closed = result === -EBADF ? [] : recorder.registrations.close(fd);
        return { ...UNSTAMPED, type: "close", fd, result };
      },
    },
  };
}

/** The other system calls that a program can make through this package's sockets and file descriptors. */
export function programCalls(sys: Syscalls, recorder: CallRecorder): Table {
  const received = new StartLineParser(sys, recorder.redactor !== undefined);
  const sent = new StartLineParser(sys, recorder.redactor !== undefined);
  const transfer = (
    type: "recv" | "send",
    call: NonNullable<TransferEvent["call"]>,
    result: number,
    fd: number,
    bytes: Uint8Array | Int32Array,
    offset: number,
    wanted: number,
  ): TraceEvent => {
    const startLines = type === "recv" ? received : sent;
    const event = transferEvent(type, fd, wanted, result, bytes, offset, startLines, recorder);
    event.call = call;
    return event;
  };
  /** A transfer to or from several buffers. With MSG_TRUNC, the result may exceed their size. */
  const transferAll = (
    type: "recv" | "send",
    call: NonNullable<TransferEvent["call"]>,
    result: number,
    fd: number,
    buffers: readonly (Uint8Array | Int32Array)[],
    wanted = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0),
  ): TraceEvent => {
    const bytes = buffers.length === 1 ? toBytes(buffers[0] as Uint8Array) : Buffer.concat(buffers.map(toBytes));
    const startLines = type === "recv" ? received : sent;
    const size = Math.min(result, bytes.length);
    const event = transferEvent(type, fd, wanted, size, bytes, 0, startLines, recorder);
    event.result = result;
    event.call = call;
    return event;
  };
  /** The event of a batch has the number of bytes of all messages that were sent or received. */
  const transferBatch = (
    type: "recv" | "send",
    call: NonNullable<TransferEvent["call"]>,
    result: number,
    fd: number,
    batch: Int32Array,
    buffers: readonly (Uint8Array | Int32Array)[],
  ): TraceEvent => {
    const wanted = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const parts = messagesOf(batch, buffers, Math.max(0, result));
    const size = parts.reduce((sum, { length }) => sum + length, 0);
    return transferAll(type, call, result < 0 ? result : size, fd, parts, wanted);
  };
  return {
    disown: {
      event: (_, fd) => {
        recorder.handOver(fd);
        return undefined;
      },
    },
    connect: {
      fdArgument: 0,
      event: (result, fd, address) => ({
        ...UNSTAMPED,
        type: "connect",
        fd,
        address: decodeAddress(sys, toBytes(address)),
        result,
      }),
    },
    listen: {
      event: (result, fd) => {
        const address = addressBuffer();
        if (result < 0 || sys.getsockname(fd, address) < 0) return undefined;
        return { ...UNSTAMPED, type: "listen", fd, address: decodeAddress(sys, address) };
      },
    },
    read: {
      fdArgument: 0,
      event: (result, fd, bytes, offset, length) => transfer("recv", "read", result, fd, bytes, offset, length),
    },
    read_nowait: {
      fdArgument: 0,
      event: (result, fd, bytes, offset, length) => transfer("recv", "read", result, fd, bytes, offset, length),
    },
    write_nowait: {
      fdArgument: 0,
      event: (result, fd, bytes, offset, length) => transfer("send", "write", result, fd, bytes, offset, length),
    },
    recvfrom: {
      fdArgument: 0,
      event: (result, fd, bytes, offset, length) => transfer("recv", "recvfrom", result, fd, bytes, offset, length),
    },
    write: {
      fdArgument: 0,
      event: (result, fd, bytes, offset, length) => transfer("send", "write", result, fd, bytes, offset, length),
    },
    sendto: {
      fdArgument: 0,
      event: (result, fd, bytes, offset, length) => transfer("send", "sendto", result, fd, bytes, offset, length),
    },
    recvmsg: {
      fdArgument: 0,
      event: (result, fd, _iovecs, _count, _from, _control, _state, buffers) =>
        transferAll("recv", "recvmsg", result, fd, buffers),
    },
    sendmsg: {
      fdArgument: 0,
      event: (result, fd, _iovecs, _count, _to, _control, _length, _flags, buffers) =>
        transferAll("send", "sendmsg", result, fd, buffers),
    },
    recvmmsg: {
      fdArgument: 0,
      event: (result, fd, _headers, _iovecs, _addresses, _control, batch, _count, buffers) =>
        transferBatch("recv", "recvmmsg", result, fd, batch, buffers),
    },
    sendmmsg: {
      fdArgument: 0,
      event: (result, fd, _headers, _iovecs, _addresses, _control, batch, _count, buffers) =>
        transferBatch("send", "sendmmsg", result, fd, batch, buffers),
    },
  };
}

/** Returns `sys` with the calls in the table wrapped: each one emits its event after it has returned. */
export function wrapCalls(sys: Syscalls, table: Table, recorder: CallRecorder): Syscalls {
  const wrapped = Object.entries(table).map(([name, row]) => [
    name,
    wrapCall(sys[name as Call] as AnyCall, row.fdArgument, row.event as AnyCall<TraceEvent | undefined>, recorder),
  ]);
  return { ...sys, ...Object.fromEntries(wrapped) };
}

type AnyCall<Result = number> = (...args: unknown[]) => Result;

/** The parameters are those of the longest call: rest parameters would allocate an array for each call. */
function wrapCall(
  call: AnyCall,
  fdArgument: number | undefined,
  describe: AnyCall<TraceEvent | undefined>,
  recorder: CallRecorder,
): AnyCall {
  return (a, b, c, d, e, f, g, h) => {
    recorder.beginCall(fdArgument === undefined ? undefined : ((fdArgument === 0 ? a : c) as number));
    const result = call(a, b, c, d, e, f, g, h);
    const event = describe(result, a, b, c, d, e, f, g, h);
    if (event !== undefined) recorder.emit(event);
    return result;
  };
}

/** Returns the event of an epoll_ctl call, and records the mask if the call succeeded. */
export function ctlEvent(
  { registrations, createSite }: Pick<CallRecorder, "registrations" | "createSite">,
  epfd: number,
  op: CtlEvent["op"],
  fd: number,
  mask: number | null,
  result: number,
): TraceEvent {
  const oldMask =
    result < 0
      ? (registrations.get(epfd, fd)?.mask ?? null)
      : registrations.apply(epfd, op, fd, mask, op === "DEL" ? undefined : createSite());
  return { ...UNSTAMPED, type: "ctl", epfd, op, fd, oldMask, mask, result };
}

function transferEvent(
  type: "recv" | "send",
  fd: number,
  wanted: number,
  result: number,
  bytes: Uint8Array | Int32Array,
  offset: number,
  startLines: StartLineParser,
  recorder: CallRecorder,
): TraceMoment & TransferEvent {
  const event: TraceMoment & TransferEvent = { ...UNSTAMPED, type, fd, wanted, result };
  recorder.endsWithBlankLine = false;
  if (result <= 0) return event;
  const received = Math.min(result, wanted); // with MSG_TRUNC, the result can exceed the size of the buffer
  const line = startLines.parse(bytes, offset, received);
  if (line !== undefined) event.line = line;
  if (type === "recv") recorder.endsWithBlankLine = endsWithBlankLine(bytes, offset, received);
  const { hasBytes, redactor } = recorder;
  if (hasBytes) {
    const data = toLatin1(bytes, offset, received);
    event.bytes = redactor === undefined ? data : redactor.redact(type, fd, data);
  }
  return event;
}

/** Returns the first `count` messages of a batch; see `struct batch` in shim.c. */
function messagesOf(batch: Int32Array, buffers: readonly (Uint8Array | Int32Array)[], count: number): Uint8Array[] {
  const [, , start = 0] = batch;
  const [whole = EMPTY] = buffers;
  const capacity = (batch.length - 4) / 4;
  const messageSize = whole.byteLength / capacity; // if they share one buffer
  return Array.from({ length: count }, (_, i) => {
    if (buffers.length > 1) return toBytes(buffers[i] ?? EMPTY);
    const from = (start + i) * messageSize;
    return toBytes(whole).subarray(from, from + Math.min(batch[4 + 4 * (start + i)] as number, messageSize));
  });
}

const EMPTY = new Uint8Array(0);

function toBytes({ buffer, byteOffset, byteLength }: Uint8Array | Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
