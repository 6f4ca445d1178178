// class LessonRunner: runs a lesson, with traced epoll instances and sockets, and records its steps and checks.

import type { InternetAddress } from "../../kernel/address.ts";
import { AF_INET, EPOLL_CLOEXEC, EPOLLIN, SOCK_STREAM } from "../../kernel/constants.ts";
import { check } from "../../kernel/errors.ts";
import { syscalls, type Syscalls } from "../../kernel/ffi.ts";
import { Epoll } from "../../io/epoll.ts";
import { OpenFd } from "../../io/owned-fd.ts";
import { Socket } from "../../io/socket.ts";
import type { TraceEvent, TraceListener } from "../../trace/events.ts";
import { Tracer } from "../../trace/tracer.ts";
import type { LessonInfo, LessonReport, LessonStep } from "./lesson-report.ts";

/** The longest wait for data to arrive over the loopback interface. */
export const ARRIVAL_TIMEOUT_MS = 2_000;

const BACKLOG = 16;
/** Longer data is left out of the report: printed, it would hide the system calls. */
const MAX_DATA_LENGTH = 200;

/** A lesson: a small program that uses real sockets, and describes and checks what it does step by step. */
export interface Lesson extends LessonInfo {
  run(runner: LessonRunner): void | Promise<void>;
}

interface Closable {
  close(): unknown;
}

export class LessonRunner {
  readonly events: TraceEvent[] = [];
  readonly steps: LessonStep[] = [];
  readonly #resources: Closable[] = [];
  #sys: Syscalls | undefined;

  /** The trace listener, for a server's `trace` option. */
  readonly traceListener: TraceListener = (event) => void this.events.push(withoutLongData(event));

  /** Runs a lesson, and closes everything that it opened. An error ends the lesson and is part of the report. */
  async run(lesson: Lesson): Promise<LessonReport> {
    let error: string | undefined;
    try {
      await lesson.run(this);
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown);
    }
    this.#endStep();
    const { id, title, point } = lesson;
    const { steps } = this;
    const holds = error === undefined && steps.every(({ checks }) => checks.every((one) => one.holds));
    const report: LessonReport = { id, title, point, steps, events: [...this.events], holds, error };
    for (const resource of this.#resources.toReversed()) await resource.close();
    return report;
  }

  // ---- the text ----

  /** Begins a step. The checks and system calls that follow belong to it. */
  step(title: string, text: string): void {
    this.#endStep();
    this.steps.push({ title, text, checks: [], question: undefined, seq: 0 });
  }

  /** Checks a statement. The claim is shown before the value, as in "epoll_wait returns []". */
  check(claim: string, actual: unknown, expected: unknown): void {
    const [actualText, expectedText] = [format(actual), format(expected)];
    this.#currentStep.checks.push({
      claim,
      expected: expectedText,
      actual: actualText,
      holds: actualText === expectedText,
    });
  }

  /** Checks a claim that is complete without a value, as in "the send queue holds data". */
  confirm(claim: string, holds: boolean): void {
    this.check(claim, holds, true);
  }

  /** Asks the reader a question in this step. `actual` is the answer that the kernel gave: one of the choices. */
  ask(prompt: string, choices: string[], actual: string): void {
    const answer = choices.indexOf(actual);
    this.check(prompt, actual, answer < 0 ? "one of the choices" : actual);
    this.#currentStep.question = { prompt, choices, answer };
  }

  // ---- the resources ----

  epoll(): Epoll {
    const fd = check(this.#tracedSyscalls.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    return this.closeAtEnd(new Epoll(new OpenFd(fd), this.#tracedSyscalls));
  }

  /** Returns a traced listening socket, and a function that connects a client to it. */
  listen(): { listener: Socket; connect: () => Socket } {
    const listener = this.closeAtEnd(new Socket(AF_INET, SOCK_STREAM, 0, undefined, this.#tracedSyscalls));
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen(BACKLOG);
    const address = listener.getsockname() as InternetAddress;
    const connect = (): Socket => {
      const client = this.closeAtEnd(new Socket());
      client.connect(address);
      return client;
    };
    return { listener, connect };
  }

  /** Returns the two ends of a TCP connection over loopback. Only `conn`, the server's end, is traced. */
  connectedPair(): { conn: Socket; peer: Socket } {
    const { listener, connect } = this.listen();
    const peer = connect();
    this.waitUntilReadable(listener);
    const conn = this.accept(listener);
    listener.close();
    return { conn, peer };
  }

  /** Waits with an untraced epoll instance, so that the lesson's own one does not report the event. */
  waitUntilReadable(socket: Socket): void {
    using epoll = new Epoll();
    epoll.register(socket, EPOLLIN);
    epoll.poll(ARRIVAL_TIMEOUT_MS);
  }

  accept(listener: Socket): Socket {
    const accepted = listener.accept();
    if (accepted === null) throw new Error("the accept queue is empty");
    return this.closeAtEnd(accepted.socket);
  }

  /** Closes the resource when the lesson ends. The lesson may close it earlier. */
  closeAtEnd<Resource extends Closable>(resource: Resource): Resource {
    this.#resources.push(resource);
    return resource;
  }

  get #tracedSyscalls(): Syscalls {
    return (this.#sys ??= new Tracer({ listener: this.traceListener, bytes: true }).wrap(syscalls()));
  }

  get #currentStep(): LessonStep {
    const step = this.steps.at(-1);
    if (step === undefined) throw new Error("a lesson must begin with step()");
    return step;
  }

  #endStep(): void {
    const step = this.steps.at(-1);
    if (step !== undefined) step.seq = this.events.at(-1)?.seq ?? 0;
  }
}

function withoutLongData(event: TraceEvent): TraceEvent {
  if (!("bytes" in event) || event.bytes === undefined || event.bytes.length <= MAX_DATA_LENGTH) return event;
  const { bytes: _bytes, ...rest } = event;
  return rest;
}

function format(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
