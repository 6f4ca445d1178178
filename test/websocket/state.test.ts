// The states of a WebSocket: the table in docs/websockets.md matches the code.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  nextWebSocketState,
  type WebSocketEvent,
  type WebSocketState,
} from "../../src/protocols/websocket/websocket-state.ts";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

const events: WebSocketEvent[] = ["received", "quiet", "ended", "closed"];
const states: WebSocketState[] = ["open", "pinged", "closing", "closed"];

test("the documented transitions match the code", () => {
  const text = readFileSync(join(root, "docs/websockets.md"), "utf8");
  for (const state of states) {
    const row = text.split("\n").find((line) => new RegExp(`^\\| \`${state}\` +\\|`).test(line)) ?? "";
    const documented = row.split("|").slice(3, -1);
    expect(documented.map((cell) => cell.trim().replaceAll("`", ""))).toEqual(
      events.map((event) => {
        const next = nextWebSocketState(state, event);
        return next === state ? "–" : next;
      }),
    );
  }
});

test("closed is final, and closing only ends", () => {
  for (const event of events) {
    expect(nextWebSocketState("closed", event)).toBe("closed");
    expect(nextWebSocketState("closing", event)).toBe(event === "closed" ? "closed" : "closing");
  }
});
