// class ProcessEngine: follows the system calls of other processes.

import { EINTR, ENOENT } from "../../kernel/errno.ts";
import { ErrnoError } from "../../kernel/errors.ts";
import { untracedSyscalls } from "../../kernel/ffi.ts";
import { nodeFs } from "../../kernel/node-fs.ts";
import { signalName } from "../../kernel/signal-names.ts";
import { EPOLLIN } from "../../kernel/constants.ts";
import type { ProcessEvent, TraceDetail } from "../events.ts";
import * as Record from "./call-record.ts";
import { CallDecoder } from "./decode-call.ts";
import type { DecodedCall } from "./decoded-call.ts";
import { callRows, seccompFilter } from "./followed-calls.ts";
import {
  ATTACH,
  HOLD_AT,
  INTERRUPT,
  type NativeTracer,
  nativeTracer,
  RESUME,
  RESUME_PROCESS,
} from "./native-tracer.ts";
import { localAddress, peerAddress, readOpenFiles, registeredEntries } from "./open-files.ts";
import { ProcessState } from "./process-state.ts";
import { attachError, checkTraceable, is32Bit, startError, TraceeError } from "./tracee-error.ts";

/** A thread that was stopped by `interrupt`. */
export interface HeldThread {
  pid: number;
  tid: number;
  /** The call in which it sleeps, if that call is followed. It goes on when the thread is resumed. */
  in?: DecodedCall | undefined;
  /** Returns where it is. To be called while it is held. */
  locate?: (() => string | undefined) | undefined;
}

/** How the first process ended. Both are undefined if it was detached. */
export interface TraceeEnd {
  exitCode?: number | undefined;
  signal?: string | undefined;
}

export interface EngineHandlers {
  /**
   * Called for each followed call that has returned, and for the beginning and the end of processes and threads. If the thread is held
   * after the call (`holdAt`), it goes on when the handler returns, unless the handler returns `"hold"`.
   */
  onCall(call: DecodedCall): "hold" | void;
  /** Called when a call that waits begins. */
  onWaitEntry?(call: DecodedCall): void;
  /** Called when `interrupt` has stopped a thread. */
  onHeld?(held: HeldThread): void;
  /** Called with what cannot be followed, as a sentence. */
  onNotice?(text: string): void;
  /** Called once, when nothing is traced anymore. */
  onEnd?(end: TraceeEnd): void;
  /** Called if the program cannot be started, or the process cannot be attached to. */
  onError?(error: TraceeError): void;
}

export interface EngineOptions {
  /** Follow the processes that a process creates. Default: true. */
  follow?: boolean | undefined;
  /** Copy up to 64 KiB of the data of each call, instead of 4 KiB. Default: false. */
  bytes?: boolean | undefined;
  /** Report reads and writes of regular files, too. Default: false. */
  files?: boolean | undefined;
  /**
   * Use a seccomp filter for programs that are started, so that calls that are not followed cost nothing. It sets no_new_privs, except
   * for root. Default: true.
   */
  seccomp?: boolean | undefined;
  /** The size of the ring of records. Default: 1 MiB; with `bytes`, 4 MiB. */
  ringBytes?: number | undefined;
}

/** Options of `ProcessEngine.start`. */
export interface StartOptions {
  cwd?: string | undefined;
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** The fds that become stdin, stdout and stderr. Default: those of this process. */
  stdio?: readonly [number, number, number] | undefined;
  /** The program gets a process group of its own, so that Ctrl-C at the terminal does not reach it. Default: false. */
  newGroup?: boolean | undefined;
}

/** Where threads are held: nowhere, after each call that waits, or after each followed call. */
export type HoldAt = "nothing" | "waits" | "calls";

const HOLD_MODES: readonly HoldAt[] = ["nothing", "waits", "calls"];
const FOLLOWS = 1;
const HAS_FILES = 2;
const HAS_FILTER = 4;
const MIB = 2 ** 20;
const DATA_BYTES = 4096;
const MAX_DATA_BYTES = 65_536;
const EXIT_MASK = 0x7f;
/** The maximum time that the end of the thread takes to become visible, in ms. */
const MAX_END_MS = 2000;

/**
 * Traces programs that know nothing of this package. One native thread makes all ptrace calls, see native/ptrace.c. It copies what a
 * call was given and what it returned into a ring, which `drain` decodes. If the ring is full, the program waits.
 *
 * `fileno()` is readable while there are records: pass it to `watch`, or call `wait` in a thread that does nothing else.
 */
export class ProcessEngine {
  readonly #handlers: EngineHandlers;
  readonly #options: EngineOptions;
  readonly #native: NativeTracer;
  readonly #decoder: CallDecoder;
  readonly #bytes: Uint8Array;
  readonly #record: Record.CallRecord;
  readonly #states = new Map<number, ProcessState>();
  /** What has to be added to CLOCK_MONOTONIC for the clock of performance.now(). */
  readonly #offsetMs: number;
  #tracer: number;
  #timer: number;
  #threadId: number;
  #pid = 0;
  #command: readonly string[] = [];
  #end: TraceeEnd = {};
  #hasEnded = false;
  #holdAt: HoldAt = "nothing";
  #allStop = false;

  /** @throws {ErrnoError} if no thread or fd is free, or the process may not trace itself */
  constructor(handlers: EngineHandlers, options: EngineOptions = {}) {
    this.#handlers = handlers;
    this.#options = options;
    const { follow = true, bytes = false, files = false, seccomp = true } = options;
    const { ringBytes = bytes ? 4 * MIB : MIB } = options;
    this.#bytes = new Uint8Array(new ArrayBuffer(Math.max(ringBytes / 2, MIB / 4)));
    this.#record = new Record.CallRecord(this.#bytes);
    this.#decoder = new CallDecoder({ localAddress, peerAddress, registeredFd });
    this.#native = nativeTracer();
    const flags = (follow ? FOLLOWS : 0) | (files ? HAS_FILES : 0) | (seccomp ? HAS_FILTER : 0);
    const [rows, count] = callRows();
    const out = new Int32Array(new ArrayBuffer(16));
    const dataBytes = bytes ? MAX_DATA_BYTES : DATA_BYTES;
    const tracer = this.#native.tracer_open(rows, count, ringBytes, dataBytes, flags, out);
    if (tracer < 0) throw new ErrnoError(-tracer, "clone");
    this.#tracer = tracer;
    [this.#timer = -1, this.#threadId = 0] = out;
    this.#offsetMs = performance.now() - Number(new BigUint64Array(out.buffer)[1]) / 1e6;
  }

  /** The first process; 0 before it has begun. */
  get pid(): number {
    return this.#pid;
  }

  /**
   * Starts a program. It has this process's terminal, process group, directory and environment, unless options say otherwise.
   *
   * @param command the program, looked up in PATH, and its arguments
   * @throws {TraceeError} if there is no such program. What execve(2) says is reported to `onError`
   */
  start(
    command: readonly string[],
    { cwd, env = process.env, stdio = [0, 1, 2], newGroup = false }: StartOptions = {},
  ): void {
    const [name = ""] = command;
    const path = findProgram(name, env["PATH"], cwd);
    if (path === undefined) throw startError(ENOENT, name);
    this.#command = command;
    const variables = Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]));
    const strings = [path, cwd ?? "", ...command, ...variables];
    const nul = strings.find((text) => text.includes("\0"));
    if (nul !== undefined) throw new TraceeError("EINVAL", `${JSON.stringify(nul)} contains a NUL character`);
    const block = new TextEncoder().encode(strings.map((text) => `${text}\0`).join(""));
    const [filter, length] = this.#options.seccomp === false ? [new Uint8Array(8), 0] : seccompFilter();
    const fds = Int32Array.from([...stdio, newGroup ? 1 : 0]);
    const result = this.#native.tracer_start(
      this.#tracer,
      block,
      block.length,
      command.length,
      variables.length,
      filter,
      length,
      fds,
    );
    if (result < 0) throw new ErrnoError(-result, "clone");
  }

  /**
   * Attaches to all threads of a running process.
   *
   * @throws {TraceeError} if it cannot be traced. What ptrace(2) says is reported to `onError`
   */
  attach(pid: number): void {
    checkTraceable(pid);
    if (this.#pid === 0) this.#pid = pid;
    this.#send(ATTACH, pid);
  }

  /** An fd that is readable while there are records: at once if the program is held or has ended, else after 2 ms. */
  fileno(): number {
    return this.#timer;
  }

  /** Where threads are held from the next call on. */
  get holdAt(): HoldAt {
    return this.#holdAt;
  }

  set holdAt(where: HoldAt) {
    this.#holdAt = where;
    this.#send(HOLD_AT, HOLD_MODES.indexOf(where), this.#allStop ? 1 : 0);
  }

  /** Whether all other threads stop when one is held. */
  get allStop(): boolean {
    return this.#allStop;
  }

  set allStop(isOn: boolean) {
    this.#allStop = isOn;
    this.#send(HOLD_AT, HOLD_MODES.indexOf(this.#holdAt), isOn ? 1 : 0);
  }

  /** Stops a thread, or all, wherever they are: `onHeld` reports each. A call in which one sleeps goes on later, without an error. */
  interrupt(tid: number = 0): void {
    this.#send(INTERRUPT, tid);
  }

  /** Lets a held thread go on, or all. */
  resume(tid: number = 0): void {
    this.#send(RESUME, tid);
  }

  /** Lets go of the attached processes, which go on, and ends. Programs that were started are killed. */
  detach(): void {
    if (this.#tracer < 0) return;
    this.drain();
    this.close();
    this.#finish();
  }

  /** Sends a signal to the first process. */
  kill(signal: number): void {
    if (this.#pid > 0) process.kill(this.#pid, signal);
  }

  /** Waits until there are records or `wakeFd` is readable, and calls the handlers. Returns whether `wakeFd` is readable. */
  wait(wakeFd: number = -1, timeoutMs: number = -1): boolean {
    const fds = new Int32Array(new ArrayBuffer(16));
    fds.set([this.#timer, EPOLLIN, wakeFd, EPOLLIN]);
    const result = untracedSyscalls().poll(fds, 2, timeoutMs);
    if (result < 0 && result !== -EINTR) throw new ErrnoError(-result, "poll");
    this.drain();
    return result > 0 && (fds[3] as number) >>> 16 !== 0;
  }

  /** Calls the handlers for everything that has happened. */
  drain(): void {
    for (
      let length;
      this.#tracer >= 0 && (length = this.#native.tracer_take(this.#tracer, this.#bytes, this.#bytes.length)) > 0;
    ) {
      this.#record.rewind(length);
      while (this.#record.next() && this.#tracer >= 0) this.#dispatch(this.#record);
    }
  }

  /** Ends the tracer: attached processes go on, programs that were started are killed. Idempotent. */
  close(): void {
    if (this.#tracer < 0) return;
    const tracer = this.#tracer;
    this.#tracer = -1;
    this.#native.tracer_close(tracer);
    // The kernel lets go of the processes when the thread is gone, which is a moment later.
    const deadlineMs = performance.now() + MAX_END_MS;
    while (nodeFs().existsSync(`/proc/self/task/${this.#threadId}`) && performance.now() < deadlineMs);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #send(command: number, a: number, b: number = 0): void {
    if (this.#tracer >= 0) this.#native.tracer_command(this.#tracer, command, a, b);
  }

  #dispatch(record: Record.CallRecord): void {
    const { kind, pid, tid } = record;
    switch (kind) {
      case Record.RECORD_CALL:
        return this.#onCall(record, pid, tid);
      case Record.RECORD_ENTRY: {
        const detail = this.#handlers.onWaitEntry && this.#decoder.decodeEntry(record);
        if (detail) this.#handlers.onWaitEntry?.({ ...this.#moment(record), pid, tid, detail });
        return;
      }
      case Record.RECORD_HELD: {
        const detail = record.number < 0 ? undefined : this.#decoder.decodeEntry(record);
        const inCall = detail && {
          ...this.#moment(record),
          pid,
          tid,
          detail,
          isHeld: true,
          locate: this.#locator(record),
        };
        this.#handlers.onHeld?.({ pid, tid, in: inCall, locate: this.#locator(record) });
        return;
      }
      case Record.RECORD_NEW:
        return this.#onNew(record, pid, tid);
      case Record.RECORD_EXEC:
        return this.#onExec(record, pid);
      case Record.RECORD_EXIT:
        return this.#onExit(record, pid, tid);
      case Record.RECORD_SIGNAL: {
        const signal = signalName(untracedSyscalls(), record.number);
        return this.#report(record, { type: "call", call: "signal", result: record.number, note: signal });
      }
      case Record.RECORD_ATTACHED:
        return this.#onAttached(record, pid);
      case Record.RECORD_FAILED:
        this.#handlers.onError?.(startError(-record.result, this.#command[0] ?? ""));
        return;
      case Record.RECORD_END:
        return this.#finish();
    }
  }

  #onCall(record: Record.CallRecord, pid: number, tid: number): void {
    const { details, data } = this.#decoder.decode(record, this.#state(pid));
    const moment = this.#moment(record);
    const { isHeld, endsWithBlankLine } = record;
    let staysHeld = false;
    for (const [i, detail] of details.entries()) {
      const call: DecodedCall = { ...moment, pid, tid, detail };
      if (data !== undefined) call.data = data;
      if (endsWithBlankLine) call.endsWithBlankLine = true;
      if (isHeld) {
        call.isHeld = i === details.length - 1;
        call.locate = this.#locator(record);
      }
      if (this.#handlers.onCall(call) === "hold") staysHeld = true;
    }
    if (isHeld && !staysHeld) this.resume(tid);
  }

  #onNew(record: Record.CallRecord, pid: number, tid: number): void {
    const parent = record.extra;
    if (pid !== tid) return this.#report(record, { type: "process", what: "thread", child: tid }, pid);
    const creator = this.#states.get(parent);
    this.#states.set(pid, creator?.fork(pid) ?? new ProcessState(pid));
    this.#report(record, { type: "process", what: "fork", child: pid }, parent, parent);
  }

  #onExec(record: Record.CallRecord, pid: number): void {
    const isStart = record.extra === 1;
    if (isStart) this.#pid = pid;
    const command = isStart ? this.#command.join(" ") : commandLine(pid);
    try {
      this.#report(record, { type: "process", what: isStart ? "start" : "exec", command });
      if (is32Bit(pid)) {
        this.#handlers.onNotice?.(
          `process ${pid} executes a 32-bit program (${command}), whose calls are not followed`,
        );
      }
      this.#reportOpenFiles(record, pid);
    } finally {
      this.#send(RESUME_PROCESS, pid);
    }
  }

  #onAttached(record: Record.CallRecord, pid: number): void {
    if (record.result < 0) {
      this.#handlers.onError?.(attachError(-record.result, pid));
      return;
    }
    try {
      this.#report(record, { type: "process", what: "attach", command: commandLine(pid) });
      this.#reportOpenFiles(record, pid);
    } finally {
      this.#send(RESUME_PROCESS, pid);
    }
  }

  #reportOpenFiles(record: Record.CallRecord, pid: number): void {
    for (const event of readOpenFiles(this.#state(pid))) this.#report(record, event);
  }

  #onExit(record: Record.CallRecord, pid: number, tid: number): void {
    if (pid !== tid) return this.#report(record, { type: "process", what: "thread-exit" });
    const status = record.result;
    const detail: ProcessEvent = { type: "process", what: "exit" };
    const signal = status & EXIT_MASK;
    if (signal === 0) detail.exitCode = (status >> 8) & 0xff;
    else detail.signal = signalName(untracedSyscalls(), signal);
    if (pid === this.#pid) this.#end = { exitCode: detail.exitCode, signal: detail.signal };
    this.#states.delete(pid);
    this.#report(record, detail);
  }

  #finish(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#handlers.onEnd?.(this.#end);
  }

  #report(record: Record.CallRecord, detail: TraceDetail, pid: number = record.pid, tid: number = record.tid): void {
    this.#handlers.onCall({ ...this.#moment(record), pid, tid, detail });
  }

  #moment(record: Record.CallRecord): Pick<DecodedCall, "startMs" | "endMs"> {
    return { startMs: record.startMs + this.#offsetMs, endMs: record.endMs + this.#offsetMs };
  }

  #state(pid: number): ProcessState {
    let state = this.#states.get(pid);
    if (state === undefined) this.#states.set(pid, (state = new ProcessState(pid)));
    return state;
  }

  #locator(record: Record.CallRecord): () => string | undefined {
    const { pid } = record;
    const registers = record.registers();
    return () => {
      const { locate } = require("./native-location.ts") as typeof import("./native-location.ts");
      return locate(pid, registers);
    };
  }
}

function registeredFd(pid: number, epfd: number, low: number, high: number): number | undefined {
  return registeredEntries(pid, epfd).find((entry) => entry.low === low && entry.high === high)?.fd;
}

/** Returns the path of a program, as execvp(3) finds it; undefined if there is none. */
function findProgram(name: string, path: string | undefined, cwd: string | undefined): string | undefined {
  if (name === "") return undefined;
  if (name.includes("/")) return name;
  const directories = (path ?? "/usr/local/bin:/bin:/usr/bin").split(":");
  const fs = nodeFs();
  for (const directory of directories) {
    const candidate = `${directory === "" ? (cwd ?? ".") : directory}/${name}`;
    try {
      fs.accessSync(candidate, fs.constants.X_OK);
      if (fs.statSync(candidate).isFile()) return candidate;
    } catch {
      // not here
    }
  }
  return undefined;
}

function commandLine(pid: number): string {
  try {
    return nodeFs().readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim();
  } catch {
    return "";
  }
}
