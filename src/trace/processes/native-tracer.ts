// Bindings of native/ptrace.c: the thread that traces other processes, and its ring of records.

import source from "../../../native/ptrace.c" with { type: "text" };
import { bytes, compile, int, type Signatures } from "../../kernel/ffi.ts";

/** Each function returns a number >= 0, or -errno. */
export interface NativeTracer {
  /**
   * Starts a tracer thread that follows `count` calls, described by `rows`. Writes the fd that is readable while there are records,
   * the tid of the thread, and CLOCK_MONOTONIC in 64 bits, to `out`. Returns the number of the tracer.
   */
  tracer_open(
    rows: Int32Array,
    count: number,
    ringBytes: number,
    dataBytes: number,
    flags: number,
    out: Int32Array,
  ): number;
  /** Sends a command, which is executed later. */
  tracer_command(tracer: number, command: number, a: number, b: number): number;
  /** Starts a program, see `struct start` in ptrace.c. */
  tracer_start(
    tracer: number,
    strings: Uint8Array,
    length: number,
    argumentCount: number,
    variableCount: number,
    filter: Uint8Array,
    filterLength: number,
    stdio: Int32Array,
  ): number;
  /** Copies whole records to `out`. Returns their length in bytes; 0 if there are none. */
  tracer_take(tracer: number, out: Uint8Array, room: number): number;
  /** Ends the thread: attached processes go on, started ones are killed. */
  tracer_close(tracer: number): number;
  /** pidfd_getfd(2). */
  pidfd_getfd(pidfd: number, fd: number): number;
  /** process_vm_readv(2) of the memory at an address, given as two halves. Returns the number of bytes. */
  peek_memory(pid: number, low: number, high: number, out: Uint8Array, length: number): number;
}

const signatures: Signatures<NativeTracer> = {
  tracer_open: [bytes, int, int, int, int, bytes],
  tracer_command: [int, int, int, int],
  tracer_start: [int, bytes, int, int, int, bytes, int, bytes],
  tracer_take: [int, bytes, int],
  tracer_close: [int],
  pidfd_getfd: [int, int],
  peek_memory: [int, int, int, bytes, int],
};

/** The commands of `tracer_command`. */
export const RESUME = 2;
export const RESUME_PROCESS = 3;
export const INTERRUPT = 4;
export const HOLD_AT = 5;
export const ATTACH = 1;

let table: NativeTracer | undefined;

/** Compiles the functions on first use. @throws {Error} as `syscalls` does */
export function nativeTracer(): NativeTracer {
  return (table ??= compile(source, signatures));
}
