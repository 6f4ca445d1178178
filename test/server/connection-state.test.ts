// The state machine of a connection: its table, and the names that traces show.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ServerSocket, Socket } from "../../src/index.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { Connection } from "../../src/server/connection.ts";
import { type ConnectionState, TRACED_STATES, tracedState, TRANSITIONS } from "../../src/server/connection-state.ts";
import { resolveOptions } from "../../src/server/resolve-options.ts";
import { ConnectionTimeouts, TimeoutQueue, type Timeouts } from "../../src/server/timeouts.ts";
import { TokenCounter } from "../../src/kernel/token-counter.ts";
import { FIRST_CONNECTION, LISTENER, WATCHED_FD } from "../../src/server/tokens.ts";
import { FetchHarness } from "../support/fetch-harness.ts";
import { root } from "../support/programs.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const states = Object.keys(TRANSITIONS) as ConnectionState[];
const phases = ["new", "head", "body", "handler", "streaming", "idle", "open", "pinged", "paused"] as const;

/** How to bring a new connection into each state. */
const paths: Record<ConnectionState, ConnectionState[]> = {
  new: [],
  head: ["head"],
  body: ["body"],
  handler: ["handler"],
  streaming: ["streaming"],
  idle: ["idle"],
  open: ["open"],
  pinged: ["pinged"],
  paused: ["paused"],
  finishing: ["finishing"],
  "finishing-no-linger": ["finishing-no-linger"],
  closing: ["finishing", "closing"],
  lingering: ["finishing", "lingering"],
  closed: ["closed"],
};

function connectionIn(state: ConnectionState): Connection {
  const owner = { flush() {}, sendNow() {}, abort() {}, fail() {}, exceedsAddressLimit: () => false };
  const connection = new Connection(syscalls(), owner, 0, FIRST_CONNECTION, new Int32Array(8));
  for (const step of paths[state]) connection.transition(step);
  expect(connection.state).toBe(state);
  return connection;
}

test("allows exactly the transitions of the table", () => {
  for (const from of states) {
    for (const to of states) {
      const connection = connectionIn(from);
      const isAllowed = from === to || TRANSITIONS[from].includes(to);
      if (isAllowed) connection.transition(to);
      else expect(() => connection.transition(to)).toThrow(`from ${from} to ${to}`);
      expect(connection.state).toBe(isAllowed ? to : from);
    }
  }
});

test("every state has a transition to closed, and closed has none", () => {
  for (const state of states) expect(TRANSITIONS[state].includes("closed")).toBe(state !== "closed");
  expect(TRANSITIONS.closed).toEqual([]);
});

test("a phase is set only while the connection is open", () => {
  for (const state of states) {
    for (const phase of phases) {
      const connection = connectionIn(state);
      const isOpen = (phases as readonly string[]).includes(state);
      connection.phase = phase;
      expect(connection.state).toBe(isOpen ? phase : state);
      expect({ phase: connection.phase, isFinished: connection.isFinished }).toEqual(
        isOpen ? { phase, isFinished: false } : { phase: undefined as never, isFinished: true },
      );
    }
  }
});

test("finish has no effect once the connection is shut down", () => {
  for (const state of ["closing", "lingering", "closed"] as const) {
    const connection = connectionIn(state);
    connection.finish(true);
    connection.write(new Uint8Array(1));
    expect([connection.state, connection.pending, connection.isShutDown]).toEqual([state, 0, true]);
  }
});

test("traces show the state, or sending while output is queued", () => {
  for (const state of states) {
    expect(tracedState(state, true)).toBe(state === "closed" ? undefined : "sending");
    const shown = state.startsWith("finishing") ? "closing" : state === "closed" ? undefined : state;
    expect(tracedState(state, false)).toBe(shown as never);
  }
  const names = states.flatMap((state) => [tracedState(state, false), tracedState(state, true)]);
  expect(new Set(names)).toEqual(new Set([...TRACED_STATES, undefined]));
});

test("the documentation has a row for each state, and each transition out of the open phases", () => {
  const text = readFileSync(join(root, "docs", "connection-states.md"), "utf8");
  for (const state of states) {
    expect(text).toMatch(new RegExp(`\n\\| \`${state}\` +\\|`));
    if ((phases as readonly string[]).includes(state)) continue;
    for (const next of TRANSITIONS[state]) {
      const isDrawn = text.includes(`    ${state.replaceAll("-", "_")} --> ${next.replaceAll("-", "_")}`);
      expect({ state, next, isDrawn: isDrawn || next === "closed" || next === "finishing-no-linger" }).toEqual({
        state,
        next,
        isDrawn: true,
      });
    }
  }
});

const [stateTable = ""] = readFileSync(join(root, "docs", "connection-states.md"), "utf8").split("\n## In traces");

/** The rows of the documentation's table: what it says about each state. */
const documented = new Map(
  [...stateTable.matchAll(/^\| `([\w-]+)` +\|(.+)\|$/gm)].map(([, state = "", cells = ""]) => {
    const [meaning = "", deadline = "", atMost = ""] = cells.split("|").map((cell) => cell.trim());
    return [state, { meaning, deadline, atMost }];
  }),
);

/** Each timeout has another value, so that a queue can be recognized by it. All are above those that are not options. */
const timeouts: Timeouts = {
  headerTimeoutMs: 1_000_001,
  bodyTimeoutMs: 1_000_002,
  idleTimeoutMs: 1_000_003,
  writeTimeoutMs: 1_000_004,
  handlerTimeoutMs: 1_000_005,
  openTimeoutMs: 1_000_006,
  pingTimeoutMs: 1_000_007,
};
const queues = new ConnectionTimeouts<Connection>(timeouts);

test("every phase has a timeout, with and without a closed peer: the one that is documented", () => {
  for (const phase of phases.slice(0, 6)) {
    const { deadline = "" } = documented.get(phase) ?? {};
    const [, name = ""] = /^`(\w+)`/.exec(deadline) ?? [];
    expect(queues.ofPhase(phase, false).timeoutMs).toBe(timeouts[name as keyof Timeouts]);
    const [, amount, unit] = /(\d+) (m?s) after the client has closed its side/.exec(deadline) ?? [];
    const afterEnd =
      amount === undefined ? timeouts[name as keyof Timeouts] : Number(amount) * (unit === "s" ? 1000 : 1);
    expect(queues.ofPhase(phase, true).timeoutMs).toBe(afterEnd);
  }
  expect(["open", "pinged", "paused"].map((phase) => documented.get(phase)?.deadline)).toEqual([
    "`websocket.idleTimeout`, less the time for the answer to a ping; restarted by input",
    "4 to 16 s, for the answer to a ping",
    "none",
  ]);
  const { openTimeoutMs, pingTimeoutMs } = timeouts;
  expect((["open", "pinged", "paused"] as const).map((phase) => queues.ofPhase(phase, false).timeoutMs)).toEqual([
    openTimeoutMs,
    pingTimeoutMs,
    Infinity,
  ]);
  for (const state of ["finishing", "finishing-no-linger"]) {
    expect(documented.get(state)?.deadline).toBe("`writeTimeoutMs`");
    expect(queues.write.timeoutMs).toBe(timeouts.writeTimeoutMs);
  }
  for (const state of ["lingering", "closing"]) {
    expect(documented.get(state)?.deadline).toBe(`${queues.linger.timeoutMs / 1000} s`);
  }
});

test("the timeouts that are not options are never longer than those that are", () => {
  const short = new ConnectionTimeouts<Connection>({ ...timeouts, idleTimeoutMs: 20, handlerTimeoutMs: 10 });
  for (const phase of ["handler", "streaming"] as const) expect(short.ofPhase(phase, true).timeoutMs).toBe(10);
});

test("the next deadline is the earliest of all queues", () => {
  const all = Object.values(queues).filter((queue) => queue instanceof TimeoutQueue);
  expect(all.length).toBe(11);
  for (const queue of all) {
    const connection = connectionIn("idle");
    queue.push(connection, 500);
    expect(queues.nextMs).toBe(500 + queue.timeoutMs);
    queue.remove(connection);
  }
  expect(queues.nextMs).toBe(Infinity);
});

test("every option that the documentation of the states names exists", () => {
  const names = [...documented.values()].flatMap((row) =>
    [...`${row.deadline} ${row.atMost}`.matchAll(/`((?:max|min|\w+Timeout)\w+)`/g)].map(([, name = ""]) => name),
  );
  expect(names.length).toBeGreaterThan(10);
  const options = resolveOptions({});
  expect(names.filter((name) => typeof options[name as keyof typeof options] !== "number")).toEqual([]);
});

/** Returns the sizes that the documentation gives for a state, in bytes, in their order. */
function sizes(text: string): number[] {
  return [...text.matchAll(/(\d+) (KiB|MiB)/g)].map(([, n, unit]) => Number(n) * (unit === "KiB" ? 1024 : 1_048_576));
}

/** Sends until nothing more is taken, or the connection is closed. */
async function flood(harness: FetchHarness, client: Socket, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  await harness.until(() => harness.server.stats.open > 0);
  for (let quiet = 0; quiet < 50 && harness.server.stats.open > 0;) {
    try {
      quiet = client.send(bytes) > 0 ? 0 : quiet + 1;
      await harness.idle(1);
    } catch {
      return; // reset
    }
  }
}

const HEAD = "GET / HTTP/1.1\r\nHost: a\r\n";

describe("a client that sends endlessly, or reads nothing: no more is buffered than is documented, in", () => {
  const [oneRead = 0] = sizes(documented.get("head")?.atMost ?? "");
  const [body = 0] = sizes(documented.get("body")?.atMost ?? "");
  const [further = 0] = sizes(documented.get("handler")?.atMost ?? "");

  test("every state: the documentation has a bound", () => {
    for (const state of states) {
      const text = documented.get(state)?.atMost ?? "";
      expect({ state, isBounded: /nothing|[KM]iB|output: the response/.test(text) }).toEqual({
        state,
        isBounded: true,
      });
    }
    expect([oneRead, body, further]).toEqual([65_536, 262_144, 65_536]);
  });

  test("head", async () => {
    using harness = new FetchHarness(undefined);
    const client = harness.client(HEAD);
    for (let at = 0; at < 16_384 + oneRead; at += 8192) {
      client.send(`X: ${"x".repeat(8188)}`);
      await harness.idle(2);
    }
    expect(await harness.text(client, /\r\n\r\n/)).toStartWith("HTTP/1.1 431 ");
  });

  test("body and handler: a body that the handler doesn't read", async () => {
    using harness = new FetchHarness(() => new Promise(() => {}), { maxBodyBytes: Infinity });
    const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";
    await flood(harness, harness.client(head), "x".repeat(100_000));
    const { bytesIn } = harness.server.stats;
    expect(bytesIn).toBeGreaterThanOrEqual(body);
    expect(bytesIn).toBeLessThanOrEqual(head.length + body + oneRead);
  });

  test("handler: further requests", async () => {
    using harness = new FetchHarness(() => new Promise(() => {}));
    await flood(harness, harness.client(`${HEAD}\r\n`), `${HEAD}\r\n`.repeat(1000));
    const { bytesIn } = harness.server.stats;
    expect(bytesIn).toBeGreaterThan(HEAD.length + 2);
    expect(bytesIn).toBeLessThanOrEqual(HEAD.length + 2 + further);
  });

  test("streaming", async () => {
    const part = new Uint8Array(10_000);
    let parts = 0;
    const pull = (controller: ReadableStreamDefaultController): void => {
      parts++;
      controller.enqueue(part);
    };
    using harness = new FetchHarness(() => new Response(new ReadableStream({ pull })));
    harness.client(`${HEAD}\r\n`);
    let before = -1;
    while (parts > before) {
      before = parts;
      await harness.idle(50);
    }
    const [output = 0] = sizes(documented.get("streaming")?.atMost ?? "");
    const { bytesOut } = harness.server.stats;
    expect(parts * part.length - bytesOut).toBeGreaterThan(0);
    expect(parts * part.length - bytesOut).toBeLessThanOrEqual(output + 2 * part.length); // the stream's own queue has one
  });

  test("idle, with socket handlers", () => {
    const [output = 0] = sizes(documented.get("idle")?.atMost ?? "");
    let pending = 0;
    const socket = {
      open(client: ServerSocket) {
        while (client.write(new Uint8Array(100_000)) > 0);
        ({ pending } = client);
      },
      data() {},
    };
    using harness = new ServerHarness({ socket });
    harness.client();
    harness.settle();
    expect(pending).toBe(output);
  });

  test("lingering", async () => {
    const [limit = 0] = sizes(documented.get("lingering")?.meaning ?? "");
    using harness = new FetchHarness(() => new Response());
    const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"; // 413
    await flood(harness, harness.client(head), "x".repeat(100_000));
    const { bytesIn, open } = harness.server.stats;
    expect(open).toBe(0);
    expect(bytesIn).toBeGreaterThan(limit);
    expect(bytesIn).toBeLessThanOrEqual(head.length + limit + 2 * oneRead);
  });
});

test("sent chunks are dropped, even if the queue never becomes empty", () => {
  const connection = connectionIn("idle");
  const chunks = Array.from({ length: 2001 }, () => new Uint8Array(70_000)); // too large to be joined
  const refs = chunks.map((chunk) => new WeakRef(chunk));
  for (let chunk; (chunk = chunks.shift()) !== undefined;) {
    connection.write(chunk);
    if (chunks.length < 2000) connection.consume(70_000);
  }
  expect(connection.pending).toBe(70_000);
  Bun.gc(true);
  expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(50);
});

test("after 2^32 connections the tokens start again, without those of other kinds of fds", () => {
  const tokens = new TokenCounter(FIRST_CONNECTION, 0xfffffffe);
  const taken = [tokens.next(), tokens.next(), tokens.next(), tokens.next()];
  expect(taken).toEqual([0xfffffffe, 0xffffffff, FIRST_CONNECTION, FIRST_CONNECTION + 1]);
  expect([LISTENER, WATCHED_FD].filter((token) => taken.includes(token))).toEqual([]);
});
