// What a page orders, looked at before it is obeyed: it comes from outside.

import type { Breakpoint, RunMode } from "../debugger/thread-messages.ts";
import { type PageCommand, TEST_CLIENT_KINDS } from "./messages.ts";

const MOST_SPEED = 100;

/** @throws {Error} that says what is wrong with it */
export function parseCommand(value: unknown): PageCommand {
  const order = (typeof value === "object" && value !== null ? value : {}) as PageCommand;
  switch (order.kind) {
    case "check":
    case "pause":
      return { kind: order.kind };
    case "go":
      return { kind: "go", mode: modeOf(order.mode) };
    case "speed":
      return { kind: "speed", perSecond: within(order.perSecond, 0, MOST_SPEED, "perSecond") };
    case "break":
      return { kind: "break", ...breakpointOf(order.on, order.value) };
    case "clear":
    case "end-try":
      return { kind: order.kind, id: within(order.id, 0, Number.MAX_SAFE_INTEGER, "id") };
    case "try":
      if (!TEST_CLIENT_KINDS.includes(order.try)) throw new Error("there is no client of this kind");
      return { kind: "try", try: order.try };
    default:
      throw new Error("there is no such order");
  }
}

function within(value: unknown, least: number, most: number, name: string): number {
  if (typeof value === "number" && value >= least && value <= most) return value;
  throw new Error(`${name} is a number from ${least} to ${most}`);
}

function modeOf(mode: RunMode): RunMode {
  switch (mode?.kind) {
    case "continue":
    case "step":
    case "next":
      return { kind: mode.kind };
    case "return":
      return { kind: "return", fd: within(mode.fd, 0, 0x7fffffff, "fd") };
    case "until":
      return { kind: "until", iteration: within(mode.iteration, 0, Number.MAX_SAFE_INTEGER, "iteration") };
    default:
      throw new Error("mode is continue, step, next, return or until");
  }
}

function breakpointOf(on: Breakpoint["on"], value: unknown): Pick<Breakpoint, "on" | "value"> {
  const isName = on === "event" || on === "state";
  if (isName && typeof value === "string" && /^[a-z]{1,20}$/.test(value)) return { on, value };
  const isNumber = on === "fd" || on === "mask" || on === "errno" || on === "iteration";
  if (isNumber) return { on, value: within(value, 0, Number.MAX_SAFE_INTEGER, "value") };
  throw new Error("a breakpoint is at a descriptor, a mask, an event, an errno, an iteration or a state");
}
