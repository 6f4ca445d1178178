// The page's state and the actions that change it. Components have no other state than form fields and display settings.

import { setErrnoNames } from "../../../kernel/errno.ts";
import type { TraceEvent } from "../../../trace/events.ts";
import { type FdKey, fdKey, fdOfKey, pidOfKey } from "../../../trace/fd-key.ts";
import { hasLine } from "../../../trace/format.ts";
import { parseTrace } from "../../../trace/trace-file.ts";
import type { Sample, Warning } from "../../debugger/sampler.ts";
import type { ConnectionQuery } from "../../debugger/event-ring.ts";
import { concerns } from "../../debugger/concerns.ts";
import type { Breakpoint, RunMode } from "../../debugger/thread-messages.ts";
import { type FdPage, type FdQuery, queryRows } from "../fd-query.ts";
import type { FdRow } from "../fd-row.ts";
import type {
  ConnectionResponse,
  FdInfoResponse,
  Hello,
  InterestDiffResponse,
  KernelResponse,
  LoopState,
  PageCommand,
  SourceResponse,
  TestClientState,
  TimingsResponse,
} from "../messages.ts";
import { EventBrowser } from "./event-browser.ts";
import { EventHistory, type View } from "./event-history.ts";
import type { StreamMessage } from "./event-subscription.ts";
import { FdList } from "./fd-list.ts";
import { eventsInHistory, FollowedConnection } from "./followed-connection.ts";
import { LessonProgress } from "./lesson-progress.ts";
import { SavedBreakpoints } from "./saved-breakpoints.ts";
import { ServerConnection } from "./server-connection.ts";
import { rowsOfView } from "./view-rows.ts";

/** The shortest interval between two renderings. It is longer under load, so that the page costs little CPU time. */
const RENDER_INTERVAL_MS = 100;
const BUSY_RENDER_INTERVAL_MS = 1_000;
/** The interval for what the user does, such as dragging. */
const USER_RENDER_INTERVAL_MS = 16;
const MAX_WARNINGS = 100;
/** The interval between queries while the page is visible: ages, queues and the kernel's lists change without events. */
const QUERY_INTERVAL_MS = 1_000;
/** The shortest interval between queries, as a multiple of the time that they take. */
const QUERY_RATIO = 5;

export class Store {
  hello: Hello | undefined;
  state: LoopState | undefined;
  history: EventHistory = new EventHistory();
  warnings: Warning[] = [];
  testClients: TestClientState[] = [];
  /** The position of the selected event; undefined: follows the latest event of a running server. */
  cursor: number | undefined;
  isConnected: boolean = false;
  /** Why the server rejects this page; undefined if it does not. */
  rejection: string | undefined;
  /** The server produces more events than are shown. */
  isBusy: boolean = false;
  /** Events skipped before the last sample. */
  omitted: number = 0;
  /** Show masks as numbers. */
  isNumeric: boolean = false;
  /** The selected file descriptor, and its process. */
  selectedFd: FdKey | undefined;
  /** The row of the selected file descriptor; undefined if it is not among those that are loaded. */
  selectedRow: FdRow | undefined;
  /** The connection whose events are shown. */
  followed: FollowedConnection | undefined;
  kernel: KernelResponse | undefined;
  timings: TimingsResponse | undefined;
  fdInfo: FdInfoResponse | undefined;
  interestDiff: InterestDiffResponse | undefined;
  source: SourceResponse | undefined;
  /** The last action that failed. */
  error: string | undefined;
  readonly lessons: LessonProgress;
  readonly browser: EventBrowser = new EventBrowser(
    () => this.#scheduleRender(USER_RENDER_INTERVAL_MS),
    matchMedia("(pointer: coarse)").matches,
  );
  readonly fds: FdList;
  /** The breakpoints of a saved trace: `continue` moves to the next event that one of them matches. */
  readonly savedBreakpoints: SavedBreakpoints = new SavedBreakpoints();

  readonly #connection: ServerConnection;
  readonly #render: () => void;
  #renderTimer: ReturnType<typeof setTimeout> | undefined;
  #renderedMs = 0;
  #renderDueMs = 0;
  /** The position whose source lines were requested last. */
  #requestedSource = "";

  constructor(render: () => void) {
    this.#render = render;
    this.#connection = new ServerConnection((message) => this.#onMessage(message));
    this.fds = new FdList(
      (query) => this.#loadFds(query),
      () => this.#scheduleRender(),
    );
    this.lessons = new LessonProgress(
      this.#connection,
      () => this.#scheduleRender(),
      (error) => this.set({ error }),
    );
  }

  start(): void {
    this.#connection.open();
    document.addEventListener("visibilitychange", () => this.#scheduleRender());
    void this.#query();
  }

  set(changes: Partial<Omit<Store, "lessons" | "browser" | "fds" | "savedBreakpoints">>): void {
    Object.assign(this, changes);
    this.#scheduleRender();
  }

  /** Whether the page may control the server. A page that the server rejects, or that has lost it, is read-only. */
  get canControl(): boolean {
    return this.hello?.canControl === true && this.rejection === undefined;
  }

  get isLive(): boolean {
    return this.hello?.source === "live";
  }

  /** Shows the latest event of a running server, as opposed to an earlier one or a saved trace. */
  get isFollowing(): boolean {
    return this.isLive && this.cursor === undefined;
  }

  get isPaused(): boolean {
    return this.state?.run === "paused";
  }

  get view(): View {
    return this.history.view(this.cursor ?? this.history.end - 1);
  }

  /** The selected event, or the last one before it that is shown as a line. */
  get selectedEvent(): TraceEvent | undefined {
    const { history } = this;
    const position = history.find((this.cursor ?? history.end - 1) + 1, -1, hasLine);
    return position === undefined ? undefined : history.event(position);
  }

  // ---- navigation in the history ----

  /** Selects an event. Selecting the latest event of a running server follows it from then on. */
  moveTo(position: number): void {
    const { history } = this;
    const clamped = Math.max(history.start, Math.min(position, history.end - 1));
    this.cursor = this.isLive && clamped === history.end - 1 ? undefined : clamped;
    void this.fds.load();
    this.#loadSource();
    this.#scheduleRender(USER_RENDER_INTERVAL_MS);
  }

  /** Selects the next (1) or previous (-1) event that satisfies the predicate. Returns whether there is one. */
  move(direction: 1 | -1, predicate: (event: TraceEvent) => boolean): boolean {
    const position = this.history.find(this.view.position, direction, predicate);
    if (position !== undefined) this.moveTo(position);
    return position !== undefined;
  }

  previousEvent(): void {
    this.move(-1, hasLine);
  }

  /** At the latest event of a paused server, this steps the server. */
  nextEvent(): void {
    if (this.isFollowing) {
      if (this.isPaused && this.canControl) this.step();
    } else if (!this.move(1, hasLine)) {
      this.moveTo(this.history.end);
    }
  }

  // ---- run control: applies to the server if the page follows it, and otherwise moves through the history ----

  step(): void {
    if (this.isFollowing) this.#resume({ kind: "step" });
    else this.move(1, hasLine);
  }

  /** Runs until epoll_wait returns. */
  nextWait(): void {
    if (this.isFollowing) this.#resume({ kind: "next" });
    else this.move(1, ({ type }) => type === "wait");
  }

  /** Runs until the loop is done with the current file descriptor. */
  stepOut(): void {
    const { event, ready } = this.view;
    const fd = event !== undefined && event.type !== "wait" && "fd" in event ? event.fd : ready[0]?.[0];
    if (fd === undefined || fd === null) return this.step();
    if (this.isFollowing) this.#resume({ kind: "return", fd, ...(event?.pid === undefined ? {} : { pid: event.pid }) });
    else this.move(1, (later) => hasLine(later) && (later.type === "wait" || !concerns(later, fd, event?.pid)));
  }

  /** Runs until a breakpoint; in a saved trace, moves to the next event that a breakpoint matches, or to the end. */
  continue(): void {
    if (!this.isLive) {
      const { history, savedBreakpoints } = this;
      return this.moveTo(history.find(this.view.position, 1, savedBreakpoints.matcher()) ?? history.end);
    }
    this.cursor = undefined;
    void this.fds.load();
    this.#resume({ kind: "continue" });
  }

  pauseOrContinue(): void {
    if (this.isPaused) this.continue();
    else void this.send({ kind: "pause" });
  }

  addBreakpoint(on: Breakpoint["on"], value: number | string): void {
    if (this.isLive) return void this.send({ kind: "add-breakpoint", on, value });
    this.savedBreakpoints.add(on, value);
    this.#scheduleRender();
  }

  removeBreakpoint(id: number): void {
    if (this.isLive) return void this.send({ kind: "remove-breakpoint", id });
    this.savedBreakpoints.remove(id);
    this.#scheduleRender();
  }

  #resume(mode: RunMode): void {
    void this.send({ kind: "resume", mode });
  }

  async send(command: PageCommand): Promise<void> {
    this.set({ error: await this.#connection.send(command) });
  }

  // ---- queries ----

  /** Selects a file descriptor and loads its details; undefined selects none. */
  async selectFd(key: FdKey | undefined): Promise<void> {
    const selectedRow = this.fds.page.rows.find((row) => fdKey(row.fd, row.pid) === key);
    this.set({ selectedFd: key, selectedRow, fdInfo: undefined });
    if (key !== undefined && this.isLive) await this.#loadFdInfo(key);
  }

  /** Shows the events of a connection; undefined shows none. */
  follow(row: Pick<FdRow, "fd" | "pid" | "openedUs" | "address"> | undefined): void {
    const followed =
      row === undefined
        ? undefined
        : new FollowedConnection(
            row,
            (query) => this.#loadConnection(query),
            () => this.#scheduleRender(),
          );
    this.set({ followed });
    void followed?.refresh();
  }

  async #loadFds(query: FdQuery): Promise<FdPage | string | undefined> {
    if (!this.isFollowing) {
      try {
        return queryRows(rowsOfView(this.view, this.warnings), query);
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    }
    const { filter, column, isDescending, offset, limit } = query;
    const order = isDescending ? "descending" : "ascending";
    const parameters = new URLSearchParams({ filter, column, order, offset: String(offset), limit: String(limit) });
    const response = await this.#connection.get(`/fds?${parameters}`);
    if (response === undefined) return undefined;
    return response.ok ? ((await response.json()) as FdPage) : await response.text();
  }

  async #loadConnection(query: ConnectionQuery): Promise<ConnectionResponse | string> {
    if (!this.isLive) return eventsInHistory(this.history, query);
    const { fd, pid, openedUs, afterSeq } = query;
    const response = await this.#connection.get(
      `/connection?fd=${fd}${pidParameter(pid)}&opened=${openedUs}&after=${afterSeq}`,
    );
    if (response === undefined) return "The server does not respond.";
    return response.ok ? ((await response.json()) as ConnectionResponse) : await response.text();
  }

  /** Updates what changes without events, again and again: less often if the server takes long to answer. */
  async #query(): Promise<void> {
    const startMs = performance.now();
    if (!document.hidden && this.isConnected && this.isFollowing) {
      this.fds.refresh();
      const kernel = await this.#connection.getJson<KernelResponse>("/kernel");
      const timings = await this.#connection.getJson<TimingsResponse>("/timings");
      this.set({ kernel, timings: timings ?? this.timings });
      if (this.selectedFd !== undefined) await this.#loadFdInfo(this.selectedFd);
    }
    const delayMs = Math.max(QUERY_INTERVAL_MS, (performance.now() - startMs) * QUERY_RATIO);
    setTimeout(() => void this.#query(), delayMs);
  }

  /** Compares the registered masks with the kernel's interest list. */
  async compareInterest(): Promise<void> {
    const response = await this.#connection.get("/interest-diff");
    if (response?.ok) {
      this.set({ interestDiff: (await response.json()) as InterestDiffResponse, error: undefined });
    } else {
      this.set({ interestDiff: undefined, error: await response?.text() });
    }
  }

  async #loadFdInfo(key: FdKey): Promise<void> {
    const query = `fd=${fdOfKey(key)}${pidParameter(pidOfKey(key))}`;
    const info = await this.#connection.getJson<FdInfoResponse | null>(`/fd?${query}`);
    if (this.selectedFd === key) this.set({ fdInfo: info ?? undefined });
  }

  /** Loads the source lines of the call that made the selected event. */
  #loadSource(): void {
    if (this.isBusy && this.isFollowing && !this.isPaused) return;
    this.showSource(this.selectedEvent?.at ?? "");
  }

  /** Loads source lines, such as those of a warning; "" shows none. */
  showSource(position: string): void {
    if (position === this.#requestedSource) return;
    this.#requestedSource = position;
    if (position === "") return this.set({ source: undefined });
    void this.#requestSource(position);
  }

  async #requestSource(position: string): Promise<void> {
    const source = await this.#connection.getJson<SourceResponse>(`/source?at=${encodeURIComponent(position)}`);
    if (this.#requestedSource === position) this.set({ source });
  }

  async #loadTrace(name: string): Promise<void> {
    const response = await this.#connection.get("/trace");
    if (!response?.ok) return this.set({ error: "Cannot load the trace." });
    const history = new EventHistory();
    let events: TraceEvent[];
    try {
      events = parseTrace(await response.text(), name);
      history.load(events);
    } catch (error) {
      return this.set({ error: `Cannot show the trace: ${error instanceof Error ? error.message : String(error)}` });
    }
    this.history = history;
    this.warnings = events.filter((event): event is Warning => event.type === "warning").slice(-MAX_WARNINGS);
    this.moveTo(history.find(history.start, 1, ({ type }) => type === "wait") ?? history.start);
  }

  // ---- messages from the server ----

  #onMessage(message: StreamMessage): void {
    switch (message.kind) {
      case "connected":
        this.isConnected = true;
        this.rejection = undefined;
        break;
      case "disconnected":
        this.isConnected = false;
        break;
      case "rejected":
        this.isConnected = false;
        this.rejection = message.reason;
        break;
      case "hello":
        this.#onHello(message);
        break;
      case "state":
        if (message.run !== "paused" || message.seq !== this.state?.seq) this.interestDiff = undefined;
        if (message.run !== this.state?.run) void this.fds.load();
        this.state = message;
        break;
      case "test-clients":
        this.testClients = message.testClients;
        break;
      case "sample":
        this.omitted = message.sample.omitted;
        this.isBusy = this.omitted > 0;
        this.#addSample(message.sample);
        if (!document.hidden) {
          if (this.isFollowing) this.fds.refresh();
          void this.followed?.refresh();
        }
    }
    this.#loadSource();
    this.#scheduleRender();
  }

  /** The first message of a connection, and so also of one to a restarted server: nothing of the old state remains valid. */
  #onHello(hello: Hello): void {
    setErrnoNames(hello.errnos);
    this.hello = hello;
    this.state = hello.state;
    this.testClients = hello.testClients;
    this.history = new EventHistory();
    this.warnings = [];
    this.cursor = undefined;
    this.followed = undefined;
    this.kernel = undefined;
    this.timings = undefined;
    void this.lessons.loadList();
    void this.fds.load();
    for (const sample of hello.samples) this.#addSample(sample);
    if (hello.source === "saved") void this.#loadTrace(hello.name);
  }

  #addSample(sample: Sample): void {
    this.history.add(sample);
    if (sample.warnings.length > 0) this.warnings = [...this.warnings, ...sample.warnings].slice(-MAX_WARNINGS);
    const { start } = this.history;
    if (this.cursor !== undefined && this.cursor < start) this.cursor = start;
  }

  #scheduleRender(intervalMs: number = this.isBusy ? BUSY_RENDER_INTERVAL_MS : RENDER_INTERVAL_MS): void {
    if (document.hidden) return;
    const dueMs = this.#renderedMs === 0 ? 0 : this.#renderedMs + intervalMs;
    if (this.#renderTimer !== undefined && this.#renderDueMs <= dueMs) return;
    clearTimeout(this.#renderTimer);
    this.#renderDueMs = dueMs;
    this.#renderTimer = setTimeout(
      () => {
        this.#renderTimer = undefined;
        this.#renderedMs = performance.now();
        this.#render();
      },
      Math.max(0, dueMs - performance.now()),
    );
  }
}

function pidParameter(pid: number | undefined): string {
  return pid === undefined ? "" : `&pid=${pid}`;
}
