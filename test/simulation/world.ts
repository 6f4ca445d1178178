// Runs one scenario: the real EpollServer on the simulated kernel, its clients, and the checks after every call and iteration.

import { EPOLLIN, EPOLLOUT } from "../../src/kernel/constants.ts";
import {
  EAGAIN,
  ECONNABORTED,
  ECONNRESET,
  EINTR,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  ENOSPC,
  EPIPE,
  EPROTO,
} from "../../src/kernel/errno.ts";
import { drainMicrotasks } from "../../src/kernel/jsc.ts";
import { EpollServer, type EpollServerOptions } from "../../src/index.ts";
import { SimClient } from "./client.ts";
import type { Registration, SimEpoll } from "./epoll.ts";
import { SimFile } from "./file.ts";
import { SimKernel } from "./kernel.ts";
import { type Oracle, TIMEOUTS, Violation } from "./oracle.ts";
import { pattern } from "./pattern.ts";
import { type Observer, SimProcess } from "./process.ts";
import { Random } from "./random.ts";
import { MAX_BODY_BYTES, MAX_HEADER_BYTES, type SimRequest } from "./requests.ts";
import type { Scenario } from "./scenario.ts";
import { Listener, TcpSocket } from "./tcp.ts";

const ETIMEDOUT = 110;
const ACCEPT_ERRNOS = [EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO, EAGAIN, EINTR];
const TRANSFER_ERRNOS = [ECONNRESET, ETIMEDOUT, ENOBUFS, ENOMEM, EPIPE];
/** Consecutive ready waits without a change after which the server is found to spin. */
const MAX_IDLE_EVENTS = 3;
/** How long a server may take to notice a deadline: it reads the clock once per iteration. */
const SLACK_MS = 2;
const MAX_TICKS = 200_000;

/** What a run has done, to show that it has not been idle. */
export interface RunTotals {
  ticks: number;
  calls: number;
  replies: number;
  bytes: number;
  faults: number;
  endedBy: Map<string, number>;
}

export function noTotals(): RunTotals {
  return { ticks: 0, calls: 0, replies: 0, bytes: 0, faults: 0, endedBy: new Map() };
}

/** An fd that belongs to another part of the program: the server must leave it alone. */
class ForeignFile extends SimFile {}

interface Reported {
  readonly registration: Registration;
  readonly changes: number;
}

interface Timer {
  readonly atMs: number;
  readonly resolve: () => void;
}

class World implements Observer {
  readonly kernel = new SimKernel();
  readonly process = new SimProcess(this.kernel);
  readonly clients: SimClient[];
  readonly server: EpollServer;
  readonly reporting = {
    isLate: (registration: Registration): boolean => {
      if (!this.#random.chance(this.#scenario.weather.late)) return false;
      this.#excused.add(registration.file);
      this.totals.faults++;
      return true;
    },
    onReported: (registration: Registration): void => {
      const { file } = registration;
      if (file instanceof TcpSocket && file.hasReceivedFin) this.#bySocket.get(file)?.oracle.onPeerClosed();
      this.#reported.push({ registration, changes: registration.file.changes });
    },
  };
  readonly totals: RunTotals;
  readonly #scenario: Scenario;
  readonly #random: Random;
  readonly #bySocket = new Map<TcpSocket, SimClient>();
  readonly #port: number;
  readonly #endMs: number;
  /** The events of the current iteration. */
  #reported: Reported[] = [];
  /** Files for which a fault was injected in the current iteration. */
  readonly #excused = new Set<SimFile>();
  readonly #staleFds = new Set<number>();
  /** How often an event of a file has been reported without a change. */
  readonly #idle = new Map<SimFile, number>();
  #timers: Timer[] = [];
  #ticks = 0;
  #violation: unknown;
  /** Faults are injected. */
  #isRough = false;
  readonly #foreign: number[] = [];

  constructor(scenario: Scenario, totals: RunTotals) {
    this.#scenario = scenario;
    this.totals = totals;
    const random = new Random(scenario.seed);
    this.#random = random;
    const { kernel, process } = this;
    for (const size of [0, 10, 3000, 70_000]) kernel.files.set(`/simulated/${size}`, size);
    process.fdLimit = scenario.fdLimit;
    this.#foreign = [process.install(new ForeignFile()), process.install(new ForeignFile())];
    process.observer = this;
    const { maxConnections, isEager: eager, keepAlive, deferAccept, proxyProtocol } = scenario;
    const isFetch = scenario.mode === "fetch";
    const options: EpollServerOptions = {
      ...TIMEOUTS,
      hostname: "127.0.0.1",
      maxHeaderBytes: MAX_HEADER_BYTES,
      maxBodyBytes: MAX_BODY_BYTES,
      maxConnections,
      eager,
      keepAlive: keepAlive || (!isFetch && !eager), // a static response with neither is the original program's protocol
      deferAccept,
      proxyProtocol,
      onWarning: () => {},
    };
    if (isFetch) {
      options.fetch = (request, server) => this.#handle(request, server as EpollServer);
      options.onError = (error, request) => this.#onError(error, request);
      options.websocket = {
        idleTimeout: 8,
        message: (ws, data) => {
          ws.send(data);
        },
      };
    }
    this.server = new EpollServer(options, process.sys, kernel.clock);
    this.#port = this.server.port as number;
    this.clients = scenario.clients.map((plan, i) => new SimClient(i, plan, scenario, kernel, random));
    this.#endMs = kernel.nowMs + scenario.stopAfterMs;
    this.#isRough = true;
  }

  // ---- the run ----

  run(): void {
    this.#iterate(() => this.kernel.nowMs < this.#endMs && !this.clients.every(({ isOver }) => isOver));
    const { graceMs } = this.#scenario;
    for (const { oracle } of this.clients) {
      oracle.isStopping = true;
      oracle.stoppedMs = this.kernel.nowMs;
      oracle.forcedMs = this.kernel.nowMs + graceMs;
    }
    void this.server.stop({ graceMs });
    const stopMs = this.kernel.nowMs + graceMs + 10;
    this.#iterate(() => {
      if (this.kernel.nowMs > stopMs) throw new Violation(`the server has not stopped after ${graceMs} ms`);
      return true;
    });
    // Handlers whose clients have left end as well.
    while (this.#timers.length > 0) {
      this.kernel.nowMs = Math.max(this.kernel.nowMs, Math.min(...this.#timers.map(({ atMs }) => atMs)));
      this.#runTimers();
      drainMicrotasks();
      this.#rethrow();
    }
    this.#checkEnd();
  }

  #iterate(isOn: () => boolean): void {
    while (!this.server.closed && isOn()) {
      this.totals.ticks++;
      if (++this.#ticks > MAX_TICKS) throw new Violation("the run does not end");
      this.#runTimers();
      drainMicrotasks();
      this.#rethrow();
      if (this.server.closed) break;
      this.#tick();
      drainMicrotasks();
      this.#rethrow();
      this.#checkDeadlines();
    }
  }

  #tick(): void {
    this.#reported = [];
    this.#excused.clear();
    this.#staleFds.clear();
    // A handler that becomes ready wakes the loop in reality: the wait ends then.
    const { nowMs } = this.kernel;
    let untilMs = this.#random.chance(100) ? nowMs : nowMs + 500;
    for (const { atMs } of this.#timers) untilMs = Math.min(untilMs, atMs);
    try {
      this.server.tick(Math.max(0, untilMs - nowMs));
    } catch (error) {
      this.#violation ??= error;
    }
    this.#checkProgress();
  }

  #rethrow(): void {
    if (this.#violation !== undefined) throw this.#violation;
  }

  // ---- checks ----

  /** An event that was reported must have changed something: otherwise it is reported again, and the loop spins. */
  #checkProgress(): void {
    for (const { registration, changes } of this.#reported) {
      const { file } = registration;
      if (file.changes !== changes || this.#excused.has(file) || registration.isRemoved) {
        this.#idle.delete(file);
        continue;
      }
      const count = (this.#idle.get(file) ?? 0) + 1;
      this.#idle.set(file, count);
      if (count >= MAX_IDLE_EVENTS) {
        this.#violation ??= new Violation(`events of fd ${registration.fd} are reported, and nothing is done`);
      }
    }
  }

  #checkDeadlines(): void {
    const now = this.kernel.nowMs - SLACK_MS;
    for (const { oracle, server } of this.clients) {
      if (oracle.isClosed || oracle.isFaulty || oracle.socket === undefined || server?.isDead === true) continue;
      const deadline = oracle.deadlineMs();
      if (now > deadline) {
        throw new Violation(
          `${oracle.name}: nothing was done by ${deadline} ms, and now it is ${now}: ${oracle.describe()}`,
        );
      }
    }
  }

  #checkEnd(): void {
    const { server, process } = this;
    const fds = process.openFds().filter((fd) => !this.#foreign.includes(fd));
    if (fds.length > 0) throw new Violation(`fds ${fds.join(", ")} are still open`);
    if (server.stats.open !== 0) throw new Violation(`${server.stats.open} connections are still counted`);
    if (server.pendingRequests !== 0) throw new Violation(`${server.pendingRequests} requests are still counted`);
    if (server.pendingWebSockets !== 0) throw new Violation(`${server.pendingWebSockets} WebSockets are still counted`);
    for (const { oracle } of this.clients) {
      this.totals.replies += oracle.replies;
      const by = oracle.endedBy;
      this.totals.endedBy.set(by, (this.totals.endedBy.get(by) ?? 0) + 1);
    }
  }

  // ---- the handlers ----

  #requestOf(request: Request): [oracle: Oracle, request: SimRequest] {
    const id = Number(request.url.split("/")[3]);
    const client = this.clients[Math.floor(id / 100)];
    if (client === undefined) throw this.#reject(new Violation(`a request that no client has sent: ${request.url}`));
    try {
      return [client.oracle, client.oracle.onHandler(id % 100)];
    } catch (error) {
      throw this.#reject(error);
    }
  }

  /** Remembers a violation that is found in a callback, whose errors the server handles. */
  #reject(error: unknown): unknown {
    this.#violation ??= error;
    return error;
  }

  #handle(request: Request, server: EpollServer): Response | Promise<Response> | undefined {
    const [oracle, { id, plan, replySize }] = this.#requestOf(request);
    const { kind, delayMs, pieces } = plan;
    const reply = (body: Uint8Array<ArrayBuffer> | ReadableStream): Response =>
      new Response(body, { headers: { "x-id": String(id) } });
    const small = (): Response => reply(pattern(id, 0, 2));
    switch (kind) {
      case "get":
      case "head":
      case "last":
      case "http10":
        return reply(pattern(id, 0, replySize));
      case "websocket":
        return server.upgrade(request) ? undefined : small();
      case "file":
        return reply(pattern(id, 0, replySize));
      case "throws":
        throw new Error("simulated");
      case "ignored":
      case "expect-ignored":
        return small();
      case "async":
        return this.#sleep(delayMs).then(() => {
          oracle.onProgress();
          return reply(pattern(id, 0, replySize));
        });
      case "stream":
        return reply(this.#stream(oracle, id, replySize, pieces, delayMs));
      case "slow-upload":
        return this.#readSlowly(oracle, request, plan.size, id, delayMs).then(small);
      default:
        return this.#readAll(oracle, request, plan.size, id).then(small);
    }
  }

  async #readAll(oracle: Oracle, request: Request, size: number, id: number): Promise<void> {
    const bytes = await request.bytes();
    oracle.onProgress();
    this.#checkUpload(bytes, 0, size, id);
    if (bytes.length !== size)
      throw this.#reject(new Violation(`an upload of ${bytes.length} bytes instead of ${size}`));
  }

  async #readSlowly(oracle: Oracle, request: Request, size: number, id: number, delayMs: number): Promise<void> {
    let at = 0;
    for await (const piece of (request.body ?? []) as unknown as AsyncIterable<Uint8Array>) {
      oracle.onProgress();
      this.#checkUpload(piece, at, size, id);
      at += piece.length;
      await this.#sleep(delayMs);
    }
    oracle.onProgress();
    if (at !== size) throw this.#reject(new Violation(`an upload of ${at} bytes instead of ${size}`));
  }

  #checkUpload(bytes: Uint8Array, at: number, size: number, id: number): void {
    if (at + bytes.length <= size && Buffer.compare(bytes, pattern(id, at, bytes.length)) === 0) return;
    throw this.#reject(new Violation(`wrong bytes in the upload of request ${id} at ${at}`));
  }

  #stream(oracle: Oracle, id: number, size: number, pieces: number, delayMs: number): ReadableStream {
    const each = Math.max(1, Math.ceil(size / pieces));
    let at = 0;
    return new ReadableStream({
      pull: async (controller) => {
        if (delayMs > 0) await this.#sleep(delayMs);
        oracle.onProgress();
        const n = Math.min(each, size - at);
        if (n > 0) controller.enqueue(pattern(id, at, n).slice());
        at += n;
        if (at >= size) controller.close();
      },
    });
  }

  #onError(error: unknown, request: Request | undefined): Response | undefined {
    if (error instanceof Violation) this.#violation ??= error;
    const isSimulated = error instanceof Error && error.message === "simulated";
    if (!isSimulated || request === undefined) return undefined;
    const id = Number(request.url.split("/")[3]);
    return new Response(pattern(id, 0, 2), { status: 500, headers: { "x-id": String(id) } });
  }

  #sleep(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#timers.push({ atMs: this.kernel.nowMs + ms, resolve });
    return promise;
  }

  #runTimers(): void {
    if (this.#timers.length === 0) return;
    const now = this.kernel.nowMs;
    const due = this.#timers.filter(({ atMs }) => atMs <= now);
    if (due.length === 0) return;
    this.#timers = this.#timers.filter(({ atMs }) => atMs > now);
    for (const { resolve } of due) resolve();
  }

  // ---- the kernel's side ----

  wait(isReady: () => boolean, timeoutMs: number): void {
    const { kernel } = this;
    const deadline = timeoutMs < 0 ? Infinity : kernel.nowMs + timeoutMs;
    this.#step();
    while (!isReady()) {
      if (kernel.nowMs >= deadline) return;
      const next = Math.min(deadline, this.#nextMs());
      if (next === Infinity) throw new Violation("the server waits, and nothing is ever going to happen");
      kernel.nowMs = Math.max(kernel.nowMs, next);
      this.#step();
    }
  }

  #nextMs(): number {
    let next = Infinity;
    const now = this.kernel.nowMs;
    for (const client of this.clients) {
      next = Math.min(next, Math.max(client.nextMs, now + 1));
      if (client.isBusy) return now + 1;
    }
    for (const listener of this.kernel.listeners.values()) {
      for (const { untilMs } of listener.deferred) next = Math.min(next, Math.max(untilMs, now + 1));
    }
    return next;
  }

  /** Clients take their turns, and the network delivers. */
  #step(): void {
    const now = this.kernel.nowMs;
    const { sendBytes, receiveBytes } = this.#scenario;
    for (const client of this.clients) {
      if (client.nextMs <= now) {
        const isNew = client.socket === undefined;
        client.act(this.#port, { sendBytes, receiveBytes });
        if (isNew && client.server !== undefined) this.#bySocket.set(client.server, client);
      }
      const { socket, server } = client;
      if (socket === undefined || server === undefined) continue;
      for (const end of [socket, server]) {
        if (end.out.isBusy && !this.#random.chance(200)) {
          end.transmit(this.#random.chance(300) ? this.#random.between(1, 200) : Infinity);
        }
      }
    }
    for (const listener of this.kernel.listeners.values()) listener.promote(now);
  }

  // ---- the calls ----

  fault(call: string, fd: number, file: SimFile | undefined): number {
    if (!this.#isRough) return 0;
    const { weather } = this.#scenario;
    const random = this.#random;
    switch (call) {
      case "recv":
      case "send":
        for (const [errno, chance] of [
          [EAGAIN, weather.eagain],
          [EINTR, weather.eintr],
        ] as const) {
          if (!random.chance(chance)) continue;
          if (call === "send") this.#oracleOf(file, (oracle) => oracle.onSendPostponed());
          return this.#injected(file, errno);
        }
        if (!random.chance(weather.broken)) return 0;
        this.#oracleOf(file, (oracle) => (oracle.isFaulty = true));
        return this.#injected(file, TRANSFER_ERRNOS[random.below(TRANSFER_ERRNOS.length)] as number);
      case "accept4":
        if (!random.chance(weather.accept)) return 0;
        return this.#injected(file, ACCEPT_ERRNOS[random.below(ACCEPT_ERRNOS.length)] as number);
      case "epoll_ctl":
        if (file instanceof Listener || !random.chance(weather.control)) return 0;
        this.#oracleOf(file, (oracle) => (oracle.isFaulty = true));
        return this.#injected(file, random.chance(500) ? ENOMEM : ENOSPC);
      case "epoll_wait":
        return random.chance(weather.eintr) ? EINTR : 0;
      case "close":
        return random.chance(weather.eintr) && fd >= 0 ? EINTR : 0;
      default:
        return 0;
    }
  }

  #injected(file: SimFile | undefined, errno: number): number {
    this.totals.faults++;
    if (file !== undefined) this.#excused.add(file);
    return errno;
  }

  limit(_call: "recv" | "send", file: TcpSocket, length: number): number {
    if (length < 2 || !this.#random.chance(this.#scenario.weather.short)) return length;
    this.#excused.add(file);
    return this.#random.between(1, length);
  }

  onCall(call: string, fd: number, file: SimFile | undefined, result: number): void {
    this.totals.calls++;
    if (result === -38) throw new Violation(`unexpected system call ${call}`);
    if (fd < 0) return;
    if (file === undefined) {
      if (call === "epoll_ctl DEL" && this.#isStale(fd)) return; // the last event of a connection that was closed meanwhile
      throw new Violation(`${call} on fd ${fd}, which is closed`);
    }
    if (fd < 3 || file instanceof ForeignFile)
      throw new Violation(`${call} on fd ${fd}, which the server does not own`);
  }

  #isStale(fd: number): boolean {
    return this.#reported.some(({ registration }) => registration.fd === fd);
  }

  onAccepted(socket: TcpSocket, fd: number): void {
    this.#bySocket.get(socket)?.oracle.onAccepted(socket, fd);
    const open = this.clients.filter(({ oracle }) => oracle.socket !== undefined && !oracle.isClosed).length;
    if (open > this.#scenario.maxConnections) throw this.#reject(new Violation(`${open} connections are open`));
  }

  onReceived(socket: TcpSocket, length: number): void {
    this.totals.bytes += length;
    this.#oracleOf(socket, (oracle) => oracle.onReceived(length));
  }

  onReceivedEnd(socket: TcpSocket): void {
    this.#oracleOf(socket, (oracle) => oracle.onPeerClosed());
  }

  onSent(socket: TcpSocket, bytes: Uint8Array, offset: number, result: number, wanted: number): void {
    if (result > 0) this.totals.bytes += result;
    this.#oracleOf(socket, (oracle) => oracle.onSent(bytes, offset, result, wanted));
  }

  onShutdown(socket: TcpSocket): void {
    this.#oracleOf(socket, (oracle) => oracle.onShutdown());
  }

  onClosing(socket: TcpSocket): void {
    this.#oracleOf(socket, (oracle) => oracle.onClosing(socket.resetsOnClose));
  }

  spuriousEvent(epoll: SimEpoll): [Registration, number] | undefined {
    if (!this.#isRough || !this.#random.chance(this.#scenario.weather.spurious)) return undefined;
    const all = [...epoll.interest];
    const registration = all[this.#random.below(all.length)];
    if (registration === undefined) return undefined;
    const events = registration.mask & (EPOLLIN | EPOLLOUT);
    if (events === 0) return undefined;
    this.totals.faults++;
    return [registration, events];
  }

  #oracleOf(file: SimFile | undefined, use: (oracle: Oracle) => void): void {
    const client = file instanceof TcpSocket ? this.#bySocket.get(file) : undefined;
    if (client === undefined) return;
    try {
      use(client.oracle);
    } catch (error) {
      throw this.#reject(error);
    }
  }
}

/** Runs a scenario. @throws {Violation} if the server does something that it must not do */
export function runScenario(scenario: Scenario, totals: RunTotals = noTotals()): void {
  new World(scenario, totals).run();
}
