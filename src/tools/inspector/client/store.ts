// class Store: all that the page knows, and all that can be done in it. The parts of the page show it, and nothing else.

import { setErrnoNames } from "../../../kernel/errno.ts";
import type { Warning } from "../../debugger/sampler.ts";
import { concerns } from "../../debugger/stop-conditions.ts";
import type { LessonInfo, LessonReport } from "../../lessons/lesson.ts";
import type { TraceEvent } from "../../../trace/events.ts";
import { parseTrace } from "../../../trace/trace-file.ts";
import { hasLine } from "../../../trace/format.ts";
import type {
  DifferencesResponse,
  Hello,
  FdInfoResponse,
  LoopState,
  Message,
  PageCommand,
  SourceResponse,
  TestClientState,
} from "../messages.ts";
import { EventHistory, type View } from "./event-history.ts";

/** What is drawn is drawn at most so often; under load less, so that the page costs next to nothing. */
const DRAW_MS = 100;
const BUSY_DRAW_MS = 1_000;
const MOST_WARNINGS = 100;
const TOKEN = "epoll-hello-token";

export interface Lessons {
  list: LessonInfo[];
  /** The one that runs. */
  running: string | undefined;
  report: LessonReport | undefined;
  step: number;
  /** By step, what was chosen. */
  chosen: Record<number, number>;
  /** Those that were gone through. */
  done: string[];
}

export class Store {
  hello: Hello | undefined;
  tape: EventHistory = new EventHistory();
  state: LoopState | undefined;
  tries: TestClientState[] = [];
  warnings: Warning[] = [];
  /** The event that is looked at; undefined: the newest. */
  cursor: number | undefined;
  isConnected: boolean = false;
  /** More happens than is shown. */
  isBusy: boolean = false;
  /** So many events came since the one before the last look, and are not shown. */
  omitted: number = 0;
  mayControl: boolean = false;
  isNumeric: boolean = false;
  /** A descriptor that is looked at. */
  fd: number | undefined;
  look: FdInfoResponse | undefined;
  source: SourceResponse | undefined;
  differences: DifferencesResponse | undefined;
  /** Something did not work. */
  trouble: string | undefined;
  lessons: Lessons = { list: [], running: undefined, report: undefined, step: 0, chosen: {}, done: [] };

  readonly #token: string;
  readonly #draw: () => void;
  #drawTimer: ReturnType<typeof setTimeout> | undefined;
  #drawnMs = 0;
  #sourceAsked = "";

  constructor(draw: () => void) {
    this.#draw = draw;
    this.#token = takeToken();
  }

  start(): void {
    const events = new EventSource("/events");
    events.addEventListener("message", ({ data }) => this.#hear(JSON.parse(data as string) as Message));
    events.addEventListener("open", () => {
      this.isConnected = true;
      this.#changed();
    });
    events.addEventListener("error", () => {
      this.isConnected = false;
      this.#changed();
    });
    document.addEventListener("visibilitychange", () => this.#changed());
    void this.#json<LessonInfo[]>("/lessons").then((list) =>
      this.set({ lessons: { ...this.lessons, list: list ?? [] } }),
    );
    if (this.#token !== "") {
      void this.#post("/orders", { kind: "check" }).then((reply) => this.set({ mayControl: reply?.ok === true }));
    }
  }

  set(what: Partial<Store>): void {
    Object.assign(this, what);
    this.#changed();
  }

  get view(): View {
    return this.tape.view(this.cursor ?? this.tape.end - 1);
  }

  /** The newest event that there is something to say of. */
  get shown(): TraceEvent | undefined {
    const { tape } = this;
    const end = (this.cursor ?? tape.end - 1) + 1;
    const at = tape.find(end, -1, hasLine);
    return at === undefined ? undefined : tape.event(at);
  }

  get isLive(): boolean {
    return this.hello?.source === "live" && this.cursor === undefined;
  }

  get isStopped(): boolean {
    return this.state?.run === "stopped";
  }

  // ---- where ----

  /** Look at an event; beyond the end: at the newest, and stay there. */
  moveTo(position: number): void {
    const { tape } = this;
    const at = Math.max(tape.start, Math.min(position, tape.end - 1));
    this.cursor = at === tape.end - 1 && this.hello?.source === "live" ? undefined : at;
    this.#askSource();
    this.#changed();
  }

  move(by: 1 | -1, holds: (event: TraceEvent) => boolean): boolean {
    const at = this.tape.find(this.view.position, by, holds);
    if (at !== undefined) this.moveTo(at);
    return at !== undefined;
  }

  // ---- orders: of the past they move what is looked at, of the present the loop ----

  step(): void {
    if (!this.isLive) this.move(1, hasLine);
    else void this.order({ kind: "go", mode: { kind: "step" } });
  }

  next(): void {
    if (!this.isLive) this.move(1, ({ type }) => type === "wait");
    else void this.order({ kind: "go", mode: { kind: "next" } });
  }

  turnOver(): void {
    const { event, ready } = this.view;
    const fd = event !== undefined && event.type !== "wait" && "fd" in event ? event.fd : ready[0]?.[0];
    if (fd === undefined || fd === null) return this.step();
    if (!this.isLive) this.move(1, (one) => hasLine(one) && (one.type === "wait" || !concerns(one, fd)));
    else void this.order({ kind: "go", mode: { kind: "return", fd } });
  }

  goOn(): void {
    if (this.hello?.source === "live") {
      this.cursor = undefined;
      void this.order({ kind: "go", mode: { kind: "continue" } });
    } else {
      this.moveTo(this.tape.end);
    }
  }

  pauseOrGo(): void {
    if (this.isStopped) this.goOn();
    else void this.order({ kind: "pause" });
  }

  async order(order: PageCommand): Promise<void> {
    const reply = await this.#post("/orders", order);
    this.set({ trouble: reply === undefined || reply.ok ? undefined : await reply.text() });
  }

  async lookAt(fd: number | undefined): Promise<void> {
    this.set({ fd, look: undefined });
    if (fd === undefined || this.hello?.source !== "live") return;
    await this.#lookAgain(fd);
  }

  async compare(): Promise<void> {
    const reply = await fetch("/differences").catch(() => undefined);
    if (reply?.ok) this.set({ differences: (await reply.json()) as DifferencesResponse, trouble: undefined });
    else this.set({ differences: undefined, trouble: await reply?.text() });
  }

  async learn(id: string): Promise<void> {
    if (this.lessons.running !== undefined) return;
    this.set({ lessons: { ...this.lessons, running: id, report: undefined, step: 0, chosen: {} } });
    const reply = await this.#post(`/lesson?id=${id}`, {});
    const report = reply?.ok ? ((await reply.json()) as LessonReport) : undefined;
    const trouble = report === undefined ? ((await reply?.text()) ?? "The lesson did not answer.") : report.error;
    this.set({ lessons: { ...this.lessons, running: undefined, report }, trouble });
  }

  learnStep(step: number): void {
    const { report, done } = this.lessons;
    if (report === undefined || step < 0 || step >= report.steps.length) return;
    const isLast = step === report.steps.length - 1;
    const all = isLast && !done.includes(report.id) ? [...done, report.id] : done;
    this.set({ lessons: { ...this.lessons, step, done: all } });
  }

  choose(choice: number): void {
    const { chosen, step } = this.lessons;
    this.set({ lessons: { ...this.lessons, chosen: { ...chosen, [step]: choice } } });
  }

  // ---- what comes ----

  #hear(message: Message): void {
    switch (message.kind) {
      case "hello":
        setErrnoNames(message.errnos);
        this.hello = message;
        this.tape = new EventHistory();
        this.warnings = [];
        this.cursor = undefined;
        this.state = message.state;
        this.tries = message.tries;
        for (const sample of message.samples) this.#take(sample);
        if (message.source === "saved") void this.#load(message.name);
        break;
      case "state":
        this.state = message;
        if (message.run !== "running") this.differences = undefined;
        break;
      case "tries":
        this.tries = message.tries;
        break;
      case "sample":
        this.omitted = message.sample.omitted;
        this.isBusy = this.omitted > 0;
        this.#take(message.sample);
        if (this.fd !== undefined && message.sample.kernel !== undefined) void this.#lookAgain(this.fd);
    }
    this.#askSource();
    this.#changed();
  }

  #take(sample: Parameters<EventHistory["add"]>[0]): void {
    this.tape.add(sample);
    if (sample.warnings.length > 0) this.warnings = [...this.warnings, ...sample.warnings].slice(-MOST_WARNINGS);
    if (this.cursor !== undefined && this.cursor < this.tape.start) this.cursor = this.tape.start;
  }

  async #load(name: string): Promise<void> {
    const reply = await fetch("/trace").catch(() => undefined);
    if (!reply?.ok) return this.set({ trouble: "The trace could not be read." });
    const events = parseTrace(await reply.text(), name);
    this.tape.load(events);
    this.warnings = events.filter((event): event is Warning => event.type === "warning").slice(-MOST_WARNINGS);
    this.moveTo(this.tape.find(this.tape.start, 1, ({ type }) => type === "wait") ?? this.tape.start);
  }

  async #lookAgain(fd: number): Promise<void> {
    const look = await this.#json<FdInfoResponse | null>(`/look?fd=${fd}`);
    if (this.fd === fd) this.set({ look: look ?? undefined });
  }

  /** The lines of the program that made the call. */
  #askSource(): void {
    const at = this.shown?.at ?? "";
    if (at === this.#sourceAsked || this.isBusy) return;
    this.#sourceAsked = at;
    if (at === "") return this.set({ source: undefined });
    void this.#showSource(at);
  }

  async #showSource(at: string): Promise<void> {
    const source = await this.#json<SourceResponse>(`/source?at=${encodeURIComponent(at)}`);
    if (this.#sourceAsked === at) this.set({ source });
  }

  async #json<T>(path: string): Promise<T | undefined> {
    const reply = await fetch(path).catch(() => undefined);
    return reply?.ok ? ((await reply.json()) as T) : undefined;
  }

  async #post(path: string, body: object): Promise<Response | undefined> {
    return await fetch(path, {
      method: "POST",
      headers: { Authorization: `Bearer ${this.#token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    }).catch(() => undefined);
  }

  #changed(): void {
    if (this.#drawTimer !== undefined || document.hidden) return;
    const everyMs = this.isBusy ? BUSY_DRAW_MS : this.#drawnMs === 0 ? 0 : DRAW_MS;
    const dueMs = Math.max(0, this.#drawnMs + everyMs - performance.now());
    this.#drawTimer = setTimeout(() => {
      this.#drawTimer = undefined;
      this.#drawnMs = performance.now();
      this.#draw();
    }, dueMs);
  }
}

/** From the address, where it does not stay; a reload finds it in the tab's own store. */
function takeToken(): string {
  const given = location.hash.slice(1);
  try {
    if (/^[\da-f]{32}$/.test(given)) {
      sessionStorage.setItem(TOKEN, given);
      history.replaceState(undefined, "", location.pathname);
    }
    return sessionStorage.getItem(TOKEN) ?? "";
  } catch {
    return given; // a browser that keeps nothing
  }
}
