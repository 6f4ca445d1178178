// A simulated client: sends its stream of requests by its plan, and reads, stalls, closes or resets.

import type { SimKernel } from "./kernel.ts";
import { Oracle } from "./oracle.ts";
import type { Random } from "./random.ts";
import { buildFrames, buildRequest, type ExpectedFrame, type SimRequest } from "./requests.ts";
import type { ClientPlan, Scenario } from "./scenario.ts";
import type { TcpSocket } from "./tcp.ts";

/** How long a client waits for `100 Continue`. */
const CONTINUE_MS = 400;

/** Where all clients read into: the oracle has checked the bytes when they were sent. */
const scratch = new Uint8Array(65_536);

export class SimClient {
  readonly plan: ClientPlan;
  readonly oracle: Oracle;
  readonly requests: SimRequest[] = [];
  socket: TcpSocket | undefined;
  /** The server's end. */
  server: TcpSocket | undefined;
  nextMs: number;
  isOver = false;
  readonly #kernel: SimKernel;
  readonly #random: Random;
  readonly #stream: Buffer;
  #sent = 0;
  #startedMs = 0;
  #continueMs = Infinity;
  #hasShutDown = false;

  constructor(index: number, plan: ClientPlan, scenario: Scenario, kernel: SimKernel, random: Random) {
    this.plan = plan;
    this.#kernel = kernel;
    this.#random = random;
    this.nextMs = kernel.nowMs + plan.startMs;
    const isStatic = scenario.mode === "static";
    const parts: Buffer[] = [];
    let length = 0;
    const add = (bytes: Buffer): void => {
      parts.push(bytes);
      length += bytes.length;
    };
    if (scenario.proxyProtocol) add(proxyHeader(plan.proxy));
    const prefixEnd = length;
    let frames: ExpectedFrame[] = [];
    for (const [i, request] of plan.requests.entries()) {
      const id = index * 100 + i;
      const [bytes, built] = buildRequest(id, request, length, isStatic);
      this.requests.push(built);
      add(bytes);
      if (built.status !== 101) continue;
      const [more, expected] = buildFrames(id, plan.frames, length);
      add(more);
      frames = expected;
      break;
    }
    this.#stream = Buffer.concat(parts);
    const hasBadPrefix = scenario.proxyProtocol && (plan.proxy === "invalid" || plan.proxy === "none");
    this.oracle = new Oracle(
      `client ${index}`,
      this.requests,
      {
        isStatic,
        keepAlive: scenario.keepAlive,
        isEager: scenario.isEager,
        prefixEnd: hasBadPrefix ? length : prefixEnd,
        hasBadPrefix,
        frames,
        streamEnd: length,
      },
      () => kernel.nowMs,
    );
  }

  /** Takes its turn. */
  act(port: number, sizes: Parameters<SimKernel["connect"]>[2]): void {
    const now = this.#kernel.nowMs;
    this.nextMs = now + this.#random.between(1, this.plan.everyMs);
    if (this.socket === undefined) {
      this.socket = this.#kernel.connect(port, 0x0100007f + (this.#random.below(4) << 24), sizes);
      if (this.socket === undefined) return this.#finish();
      this.server = this.socket.peer;
      this.#startedMs = now;
    }
    const { socket } = this;
    this.#read(socket);
    if (this.isOver) return;
    if (this.#isTimeToEnd(now)) return this.#end(socket);
    this.#send(socket, now);
  }

  #read(socket: TcpSocket): void {
    const { readBytes } = this.plan;
    if (readBytes === 0) {
      if (socket.isDead) this.#close(socket);
      return;
    }
    const n = socket.recv(scratch, 0, Math.min(readBytes, scratch.length));
    if (n === 0 || (n < 0 && n !== -11)) this.#close(socket);
  }

  #send(socket: TcpSocket, now: number): void {
    if (this.#hasShutDown || this.#sent >= this.#stream.length) return;
    if (this.plan.isPolite && this.oracle.isLast) return;
    const limit = this.#gate(socket, now);
    const n = Math.min(limit - this.#sent, this.plan.sendBytes);
    if (n <= 0) return;
    const sent = socket.send(this.#stream, this.#sent, n);
    if (sent > 0) this.#sent += sent;
  }

  /** Returns up to which position of its stream the client may send for now. */
  #gate(socket: TcpSocket, now: number): number {
    const { requests, oracle } = this;
    const read = socket.in.read;
    const { isPolite } = this.plan;
    for (let i = 0; i < requests.length; i++) {
      const request = requests[i] as SimRequest;
      if (request.end <= this.#sent && request.status !== 101) continue;
      if (request.plan.waits && i > 0 && this.#sent <= request.start) {
        if (oracle.replies < i || (oracle.replyEnds[i - 1] as number) > read) return request.start;
      }
      if (request.expectsContinue && isPolite && this.#sent <= request.headEnd) {
        const isContinued = (oracle.continueEnds.get(i) ?? Infinity) <= read || oracle.replies > i;
        if (!isContinued) {
          if (this.#sent === request.headEnd && this.#continueMs === Infinity) this.#continueMs = now + CONTINUE_MS;
          if (now < this.#continueMs) return request.headEnd;
        }
        this.#continueMs = Infinity;
      }
      if (request.status === 101 && isPolite && oracle.upgradeEnd > read) return request.end;
    }
    return this.#stream.length;
  }

  #isTimeToEnd(now: number): boolean {
    const { when, end } = this.plan;
    if (this.#hasShutDown) return false;
    if (end === "stays") return false;
    if (when === "done") {
      const { replies, replyEnds } = this.oracle;
      const read = this.socket?.in.read ?? 0;
      return this.#sent === this.#stream.length && replies >= this.requests.length && (replyEnds.at(-1) ?? 0) <= read;
    }
    if ("afterMs" in when) return now - this.#startedMs >= when.afterMs;
    return this.#sent >= Math.floor((when.afterSent * this.#stream.length) / 1000);
  }

  #end(socket: TcpSocket): void {
    if (this.plan.end === "shutdown") {
      socket.shutdown(1);
      this.#hasShutDown = true;
      return;
    }
    socket.resetsOnClose = this.plan.end === "reset";
    this.#close(socket);
  }

  #close(socket: TcpSocket): void {
    socket.release();
    this.#finish();
  }

  #finish(): void {
    this.isOver = true;
    this.nextMs = Infinity;
  }

  /** The run ends: the client leaves. */
  leave(): void {
    if (this.isOver) return;
    if (this.socket === undefined) this.#finish();
    else this.#close(this.socket);
  }

  get isBusy(): boolean {
    const { socket } = this;
    return socket !== undefined && (socket.out.isBusy || socket.in.isBusy);
  }
}

function proxyHeader(kind: ClientPlan["proxy"]): Buffer {
  if (kind === "v1") return Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n");
  if (kind === "invalid") return Buffer.from("PROXY WHAT EVER\r\n");
  if (kind === "none") return Buffer.alloc(0);
  const header = Buffer.from("0d0a0d0a000d0a515549540a2111000c", "hex");
  return Buffer.concat([header, Buffer.from([192, 0, 2, 1, 192, 0, 2, 2, 4, 87, 8, 174])]);
}
