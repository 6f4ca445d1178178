// class Stage: where a lesson plays. Its epolls and sockets are real and traced; its claims are compared, and its own.

import { EPOLL_CLOEXEC, SOCK_STREAM } from "../../kernel/constants.ts";
import type { InternetAddress } from "../../kernel/address.ts";
import { Epoll } from "../../io/epoll.ts";
import { check } from "../../kernel/errors.ts";
import { syscalls, type Syscalls } from "../../kernel/ffi.ts";
import { Socket } from "../../io/socket.ts";
import type { TraceEvent, TraceListener } from "../../trace/events.ts";
import { Tracer } from "../../trace/tracer.ts";
import type { Lesson, LessonReport, LessonStep } from "./lesson.ts";

/** What comes over loopback is waited for so long. */
export const WAIT_MS = 2_000;

export class LessonRunner {
  readonly events: TraceEvent[] = [];
  readonly steps: LessonStep[] = [];
  readonly #things: { close(): unknown }[] = [];
  #sys: Syscalls | undefined;

  /** For a server's `trace`. */
  readonly listener: TraceListener = (event) => void this.events.push(event);

  /** What follows belongs to this step. */
  step(title: string, text: string): void {
    this.#endStep();
    this.steps.push({ title, text, checks: [], question: undefined, seq: 0 });
  }

  /** Compare what was found with what a reader of the text would expect. */
  check(claim: string, found: unknown, wanted: unknown): void {
    const [is, should] = [shown(found), shown(wanted)];
    this.#step.checks.push({ claim, found: is, wanted: should, holds: is === should });
  }

  /** A question of this step; the kernel has answered it with `found`, which is one of the choices. */
  ask(ask: string, choices: string[], found: string): void {
    const answer = choices.indexOf(found);
    this.check(ask, answer < 0 ? found : "one of the choices", "one of the choices");
    this.#step.question = { ask, choices, answer };
  }

  epoll(): Epoll {
    const fd = check(this.#traced.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    return this.own(new Epoll(fd, this.#traced));
  }

  /** A listening socket, and how to connect to it. */
  listener4(): { listener: Socket; connect: () => Socket } {
    const listener = this.own(new Socket(2, SOCK_STREAM, 0, undefined, this.#traced));
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen(16);
    const address = listener.getsockname() as InternetAddress;
    const connect = (): Socket => {
      const client = this.own(new Socket());
      client.connect(address);
      return client;
    };
    return { listener, connect };
  }

  /** A TCP connection over loopback: the traced end that the lesson is about, and the one of its peer. */
  pair(): { ours: Socket; peer: Socket } {
    const { listener, connect } = this.listener4();
    const peer = connect();
    using epoll = new Epoll();
    epoll.register(listener, 1);
    epoll.poll(WAIT_MS);
    const ours = this.accept(listener);
    listener.close();
    return { ours, peer };
  }

  accept(listener: Socket): Socket {
    const accepted = listener.accept();
    if (accepted === null) throw new Error("nobody waited to be accepted");
    return this.own(accepted.socket);
  }

  /** It is closed when the lesson is over, if not before. */
  own<Thing extends { close(): unknown }>(thing: Thing): Thing {
    this.#things.push(thing);
    return thing;
  }

  async play(lesson: Lesson): Promise<LessonReport> {
    let error: string | undefined;
    try {
      await lesson.run(this);
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown);
    }
    this.#endStep();
    const { id, title, point } = lesson;
    const { steps, events } = this;
    const holds = error === undefined && steps.every(({ checks }) => checks.every((one) => one.holds));
    const report: LessonReport = { id, title, point, steps, events: [...events], holds, error };
    for (const thing of this.#things.toReversed()) thing.close();
    return report;
  }

  get #traced(): Syscalls {
    return (this.#sys ??= new Tracer({ listener: this.listener, bytes: true }).wrap(syscalls()));
  }

  get #step(): LessonStep {
    const step = this.steps.at(-1);
    if (step === undefined) throw new Error("a lesson begins with a step");
    return step;
  }

  #endStep(): void {
    const step = this.steps.at(-1);
    if (step !== undefined) step.seq = this.events.at(-1)?.seq ?? 0;
  }
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
