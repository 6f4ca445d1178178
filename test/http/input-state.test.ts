// The input states: the table in docs/http-connection.md matches the code.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type InputEvent, type InputState, nextInputState } from "../../src/protocols/http/input-state.ts";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

const events: InputEvent[] = ["body-started", "body-ended", "last-request", "stopped", "upgraded"];
const states: InputState[] = ["head", "body", "last-body", "discarding", "upgraded"];

test("the documented transitions of the input match the code", () => {
  const text = readFileSync(join(root, "docs/http-connection.md"), "utf8");
  for (const state of states) {
    const row = text.split("\n").find((line) => new RegExp(`^\\| \`${state}\` +\\|`).test(line)) ?? "";
    const documented = row.split("|").slice(3, -1);
    expect(documented.map((cell) => cell.trim().replaceAll("`", ""))).toEqual(
      events.map((event) => {
        const next = nextInputState(state, event);
        return next === state ? "–" : next;
      }),
    );
  }
});

test("discarding and upgraded are final", () => {
  for (const state of ["discarding", "upgraded"] as const) {
    for (const event of events) expect(nextInputState(state, event)).toBe(state);
  }
});
