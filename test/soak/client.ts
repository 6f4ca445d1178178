// A process with the clients of a soak. Its argument is JSON, and it prints lines of JSON. Every loop ends at a deadline.

import { readFileSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { killWithParent } from "../support/kill-with-parent.ts";
import { HttpConnection, NoReply, type Reply } from "./http-connection.ts";
import { bodyOf, receiptOf } from "./pattern.ts";

/** The number of clients of each kind. */
export interface Clients {
  /** Keep-alive connections that are busy, with one request at a time or several pipelined ones. */
  busy: number;
  /** Keep-alive connections that are idle most of the time. */
  idle: number;
  /** A new connection for each request. */
  churn: number;
  /** Connections that are reset or closed at any point. */
  reset: number;
  /** Clients that send and receive slowly. */
  slow: number;
  uploads: number;
  files: number;
  /** Quiet streams (text/event-stream). */
  streams: number;
  /** WebSockets that get messages echoed. */
  echoes: number;
  /** WebSockets that are subscribed to a broadcast. */
  subscribers: number;
}

export interface SoakClientOptions {
  name: string;
  addresses: string[];
  port: number;
  file: string;
  clients: Clients;
  /** How long to run, after which all connections are closed. */
  forMs: number;
  sampleMs: number;
  broadcastMs: number;
}

export interface ClientSample {
  /** Connections that are open now. */
  open: number;
  /** Replies and messages since the last sample, all checked. */
  replies: number;
  /** Totals: requests without a complete reply, replies with wrong bytes, gaps in broadcasts, and failures to connect. */
  lost: number;
  wrong: number;
  refused: number;
  /** Latencies of the busy clients' requests since the last sample, in milliseconds. */
  p50Ms: number;
  p99Ms: number;
}

/** A line of the client's output. */
export type SoakClientMessage = { sample: ClientSample } | { problem: string } | { ended: ClientSample };

/** How many connections are opened at a time, fewer than fit in the backlog. */
const OPENING = 200;
const MAX_PROBLEMS = 20;
const REQUEST_END = "HTTP/1.1\r\nHost: soak.example\r\nUser-Agent: soak\r\n";
const SLOW_BYTES = 3_000_000;
/** How many broadcasts may be late before a subscriber counts as lost. */
const LATE_BROADCASTS = 12;

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? "{}") as SoakClientOptions);

async function main(options: SoakClientOptions): Promise<void> {
  killWithParent();
  const { addresses, port, clients, broadcastMs } = options;
  const file = readFileSync(options.file);
  const endMs = performance.now() + options.forMs;
  const ending = new AbortController();
  const totals = { open: 0, lost: 0, wrong: 0, refused: 0 };
  let replies = 0;
  let problems = 0;
  let latencies: number[] = [];
  let ids = 0;
  let opening = 0;
  const openingQueue: (() => void)[] = [];

  const print = (message: SoakClientMessage): unknown => writeSync(1, `${JSON.stringify(message)}\n`);
  const isOver = (): boolean => performance.now() >= endMs || ending.signal.aborted;
  const random = (most: number): number => Math.floor(Math.random() * most);
  const nextId = (): string => `${options.name}-${ids++}`;
  const problem = (kind: "lost" | "wrong" | "refused", text: string): void => {
    totals[kind]++;
    if (problems++ < MAX_PROBLEMS) print({ problem: `${kind}: ${text}` });
  };

  /** Waits for about this time, or until the end. */
  async function pause(aboutMs: number): Promise<void> {
    const ms = Math.min(aboutMs * (0.5 + Math.random()), Math.max(0, endMs - performance.now()));
    await sleep(ms, undefined, { signal: ending.signal }).catch(() => {});
  }

  async function connect(): Promise<HttpConnection | undefined> {
    if (opening >= OPENING) await new Promise<void>((resolve) => openingQueue.push(resolve));
    opening++;
    const address = addresses[random(addresses.length)] as string;
    try {
      const connection = await HttpConnection.open(address, port);
      totals.open++;
      connection.onClose = () => totals.open--;
      return connection;
    } catch (error) {
      problem("refused", `${address}: ${String(error)}`);
      await pause(100);
      return undefined;
    } finally {
      opening--;
      openingQueue.shift()?.();
    }
  }

  /** Checks a reply. A connection that this process closes on purpose isn't asked for one. */
  async function check(what: string, asked: Promise<Reply>, expected: (reply: Reply) => Uint8Array): Promise<boolean> {
    try {
      const reply = await asked;
      replies++;
      if (Buffer.compare(reply.body, expected(reply)) === 0) return true;
      problem("wrong", `${what}: status ${reply.status}, ${reply.body.length} bytes`);
    } catch (error) {
      if (!(error instanceof NoReply)) throw error;
      problem("lost", `${what}: ${error.message}`);
    }
    return false;
  }

  function data(id: string, bytes: number, fields = ""): string {
    return `GET /data/${id}/${bytes} ${REQUEST_END}${fields}\r\n`;
  }

  async function keepAlive(connection: HttpConnection, pipelined: number, measured: boolean): Promise<boolean> {
    const asked = Array.from({ length: pipelined }, () => {
      const id = nextId();
      const bytes = random(4) === 0 ? random(20_000) : random(500);
      return { id, bytes, request: data(id, bytes) };
    });
    const startMs = performance.now();
    const results = await Promise.all(
      asked.map(({ id, bytes, request }) =>
        check(`keep-alive ${id}`, connection.ask(request), () => bodyOf(id, bytes)),
      ),
    );
    if (measured) latencies.push(performance.now() - startMs);
    return results.every(Boolean);
  }

  async function busy(): Promise<void> {
    let connection: HttpConnection | undefined;
    while (!isOver()) {
      connection ??= await connect();
      if (connection === undefined) continue;
      const isFine = await keepAlive(connection, random(10) === 0 ? 1 + random(8) : 1, true);
      if (!isFine || random(500) === 0) {
        connection.close();
        connection = undefined;
      }
      await pause(200);
    }
    connection?.close();
  }

  async function idle(): Promise<void> {
    let connection: HttpConnection | undefined;
    while (!isOver()) {
      connection ??= await connect();
      if (connection !== undefined && !(await keepAlive(connection, 1, false))) {
        connection.close();
        connection = undefined;
      }
      await pause(30_000);
    }
    connection?.close();
  }

  async function churn(): Promise<void> {
    while (!isOver()) {
      const connection = await connect();
      if (connection === undefined) continue;
      const id = nextId();
      const bytes = random(5_000);
      await check(`churn ${id}`, connection.ask(data(id, bytes, "Connection: close\r\n")), () => bodyOf(id, bytes));
      connection.close();
      await pause(100);
    }
  }

  /** Leaves at any point: nothing is expected of the server but to notice it. */
  async function reset(): Promise<void> {
    while (!isOver()) {
      const connection = await connect();
      if (connection === undefined) continue;
      let received = 0;
      const first = Promise.withResolvers<void>();
      connection.onData = (bytes) => {
        received += bytes.length;
        first.resolve();
      };
      const beginnings = [
        "",
        "GET /data/half HTTP",
        data(nextId(), 1_000_000),
        data(nextId(), 100).repeat(20),
        `POST /upload ${REQUEST_END}Content-Length: 100000\r\n\r\n${"x".repeat(random(50_000))}`,
        `GET /events ${REQUEST_END}\r\n`,
        `GET /file ${REQUEST_END}\r\n`,
      ];
      connection.send(beginnings[random(beginnings.length)] as string);
      if (random(2) === 0) await Promise.race([first.promise, pause(100)]);
      if (random(3) === 0) connection.close();
      else connection.reset();
      await pause(100);
    }
  }

  async function slow(): Promise<void> {
    while (!isOver()) {
      const connection = await connect();
      if (connection === undefined) continue;
      const id = nextId();
      const request = data(id, SLOW_BYTES, "Connection: close\r\n");
      for (let at = 0; at < request.length; at += 20) {
        connection.send(request.slice(at, at + 20));
        await sleep(50);
      }
      const isSlow = setInterval(() => {
        connection.pause();
        setTimeout(() => connection.resume(), 40);
      }, 50);
      await check(`slow ${id}`, connection.reply(), () => bodyOf(id, SLOW_BYTES));
      clearInterval(isSlow);
      connection.resume();
      connection.close();
      await pause(1_000);
    }
  }

  async function upload(): Promise<void> {
    let connection: HttpConnection | undefined;
    while (!isOver()) {
      connection ??= await connect();
      if (connection === undefined) continue;
      const id = nextId();
      const body = bodyOf(id, random(random(10) === 0 ? 1_000_000 : 30_000));
      const isChunked = random(2) === 0;
      const length = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`;
      connection.send(`POST /upload ${REQUEST_END}${length}\r\n\r\n`);
      const pieces = 1 + random(4);
      const size = Math.ceil(body.length / pieces);
      for (let at = 0; at < body.length; at += size) {
        const piece = body.subarray(at, at + size);
        if (isChunked) connection.send(`${piece.length.toString(16)}\r\n`);
        connection.send(piece);
        if (isChunked) connection.send("\r\n");
        if (random(4) === 0) await sleep(20);
      }
      if (isChunked) connection.send("0\r\n\r\n");
      if (!(await check(`upload ${id}`, connection.reply(), () => Buffer.from(receiptOf(body))))) {
        connection.close();
        connection = undefined;
      }
      await pause(200);
    }
    connection?.close();
  }

  async function download(): Promise<void> {
    let connection: HttpConnection | undefined;
    while (!isOver()) {
      connection ??= await connect();
      if (connection === undefined) continue;
      const from = random(file.length);
      const to = Math.min(file.length - 1, from + random(100_000));
      const range = random(4) === 0 ? "" : `Range: bytes=${from}-${to}\r\n`;
      const expected = range === "" ? file : file.subarray(from, to + 1);
      if (!(await check("/file", connection.ask(`GET /file ${REQUEST_END}${range}\r\n`), () => expected))) {
        connection.close();
        connection = undefined;
      }
      await pause(200);
    }
    connection?.close();
  }

  /** Checks that a broadcast's numbers follow each other. Returns a function that takes them, and one that says whether it is late. */
  function sequence(what: string): { take: (n: number) => void; isLate: () => boolean } {
    let last: number | undefined;
    let lastMs = performance.now();
    return {
      take: (n) => {
        if (last !== undefined && n !== last + 1) problem("lost", `${what}: message ${n} follows ${last}`);
        last = n;
        lastMs = performance.now();
        replies++;
      },
      isLate: () => performance.now() - lastMs > LATE_BROADCASTS * broadcastMs + 10_000,
    };
  }

  async function stream(): Promise<void> {
    while (!isOver()) {
      const connection = await connect();
      if (connection === undefined) continue;
      const { take, isLate } = sequence("stream");
      let text = "";
      connection.onData = (bytes) => {
        const lines = (text + bytes.toString("latin1")).split("\n\n");
        text = lines.pop() ?? "";
        for (const line of lines) {
          const [, n] = /id: (\d+)$/.exec(line) ?? [];
          if (n !== undefined) take(Number(n));
        }
      };
      connection.send(`GET /events ${REQUEST_END}\r\n`);
      const untilMs = performance.now() + 20_000 + random(300_000); // then another one is opened
      while (!isOver() && performance.now() < untilMs && !connection.isClosed && !isLate()) await pause(2_000);
      if (!isOver() && connection.isClosed) problem("lost", "stream: closed by the server");
      if (isLate()) problem("lost", "stream: no message");
      if (random(2) === 0) connection.reset();
      else connection.close();
    }
  }

  async function socket(topic: boolean): Promise<void> {
    while (!isOver()) {
      if (opening >= OPENING) await new Promise<void>((resolve) => openingQueue.push(resolve));
      opening++;
      const address = addresses[random(addresses.length)] as string;
      const client = new WebSocket(`ws://${address}:${port}/socket${topic ? "?topic=1" : ""}`);
      const opened = Promise.withResolvers<boolean>();
      const closed = Promise.withResolvers<void>();
      let reason = "";
      const { take, isLate } = sequence("WebSocket");
      let echo: PromiseWithResolvers<string> | undefined;
      client.addEventListener("open", () => opened.resolve(true));
      client.addEventListener("error", () => opened.resolve(false));
      client.addEventListener("close", (event) => {
        reason = `${event.code} ${event.reason}`;
        closed.resolve();
      });
      client.addEventListener("message", ({ data }) => {
        if (topic) take(Number(data));
        else echo?.resolve(String(data));
      });
      const isOpen = await opened.promise;
      opening--;
      openingQueue.shift()?.();
      if (!isOpen) {
        problem("refused", `WebSocket to ${address}`);
        await pause(100);
        continue;
      }
      totals.open++;
      void closed.promise.then(() => totals.open--);
      const untilMs = performance.now() + 20_000 + random(300_000);
      while (!isOver() && performance.now() < untilMs && client.readyState === WebSocket.OPEN) {
        if (!topic) {
          const message = bodyOf(nextId(), 1 + random(2_000)).toString();
          echo = Promise.withResolvers<string>();
          client.send(message);
          const got = await Promise.race([echo.promise, closed.promise, sleep(60_000, undefined, { ref: false })]);
          if (got === message) replies++;
          else problem(got === undefined ? "lost" : "wrong", "echo of a WebSocket");
        }
        await pause(topic ? 2_000 : 10_000);
        if (topic && isLate()) {
          problem("lost", "WebSocket: no message");
          break;
        }
      }
      if (!isOver() && client.readyState !== WebSocket.OPEN)
        problem("lost", `WebSocket: closed by the server: ${reason}`);
      if (random(2) === 0) client.terminate();
      else client.close();
      await closed.promise;
    }
  }

  function sample(): ClientSample {
    latencies.sort((a, b) => a - b);
    const at = (share: number): number =>
      latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
    const result = { ...totals, replies, p50Ms: at(0.5), p99Ms: at(0.99) };
    replies = 0;
    latencies = [];
    return result;
  }

  process.once("SIGTERM", () => ending.abort());
  const timer = setInterval(() => print({ sample: sample() }), options.sampleMs);
  const times = (count: number, client: () => Promise<void>): Promise<void>[] => Array.from({ length: count }, client);
  await Promise.all([
    ...times(clients.busy, busy),
    ...times(clients.idle, idle),
    ...times(clients.churn, churn),
    ...times(clients.reset, reset),
    ...times(clients.slow, slow),
    ...times(clients.uploads, upload),
    ...times(clients.files, download),
    ...times(clients.streams, stream),
    ...times(clients.echoes, () => socket(false)),
    ...times(clients.subscribers, () => socket(true)),
  ]);
  clearInterval(timer);
  print({ ended: sample() });
}
