// The state machine of a connection: its table, and the names that traces show.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { syscalls } from "../../src/kernel/ffi.ts";
import { Connection } from "../../src/server/connection.ts";
import { type ConnectionState, TRACED_STATES, tracedState, TRANSITIONS } from "../../src/server/connection-state.ts";
import { TokenCounter } from "../../src/kernel/token-counter.ts";
import { FIRST_CONNECTION, LISTENER, WATCHED_FD } from "../../src/server/tokens.ts";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

const states = Object.keys(TRANSITIONS) as ConnectionState[];
const phases = ["new", "head", "body", "handler", "streaming", "idle"] as const;

/** How to bring a new connection into each state. */
const paths: Record<ConnectionState, ConnectionState[]> = {
  new: [],
  head: ["head"],
  body: ["body"],
  handler: ["handler"],
  streaming: ["streaming"],
  idle: ["idle"],
  finishing: ["finishing"],
  "finishing-no-linger": ["finishing-no-linger"],
  closing: ["finishing", "closing"],
  lingering: ["finishing", "lingering"],
  closed: ["closed"],
};

function connectionIn(state: ConnectionState): Connection {
  const owner = { flush() {}, abort() {}, fail() {} };
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
