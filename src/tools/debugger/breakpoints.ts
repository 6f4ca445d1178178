// Breakpoints at the prompt: how a place is written, and how one is shown.

import { formatMask } from "../../kernel/format-mask.ts";
import * as constants from "../../kernel/constants.ts";
import { errnoName } from "../../kernel/errno.ts";
import type { Breakpoint } from "./thread-messages.ts";
import type { Session } from "./session.ts";

const EVENTS = [
  "accept",
  "close",
  "connect",
  "create",
  "ctl",
  "listen",
  "recv",
  "reset",
  "send",
  "shutdown",
  "state",
  "wait",
  "warning",
];
const STATES = ["new", "head", "body", "handler", "sending", "idle", "closing", "lingering"];

export function setBreakpoint(session: Session, argument: string, isTemporary: boolean): void {
  if (argument === "") {
    if (session.breakpoints.length === 0) session.print("no breakpoints: b fd 5, b EPOLLHUP, b accept, …");
    for (const one of session.breakpoints) session.print(describeBreakpoint(one));
    return;
  }
  const comma = argument.indexOf(",");
  const where = (comma < 0 ? argument : argument.slice(0, comma)).trim();
  const condition = comma < 0 ? "" : argument.slice(comma + 1).trim();
  const place = placeOf(where);
  const added = session.addBreakpoint({ ...place, condition: condition === "" ? undefined : condition, isTemporary });
  session.print(describeBreakpoint(added));
}

function placeOf(where: string): Pick<Breakpoint, "on" | "value"> {
  const [word = "", value = "", ...more] = where.split(/\s+/);
  if (more.length === 0) {
    if ((word === "fd" || word === "iteration") && /^\d+$/.test(value)) return { on: word, value: Number(value) };
    if (word === "state" && STATES.includes(value)) return { on: "state", value };
    if (value === "" && /^\d+$/.test(word)) return { on: "fd", value: Number(word) };
    if (value === "" && EVENTS.includes(word)) return { on: "event", value: word };
    const mask: unknown = (constants as Record<string, unknown>)[word];
    if (value === "" && /^EPOLL[A-Z]+$/.test(word) && typeof mask === "number") return { on: "mask", value: mask };
    const errno = value === "" ? errnoOf(word) : undefined;
    if (errno !== undefined) return { on: "errno", value: errno };
  }
  throw new Error(
    `${JSON.stringify(where)} is nowhere to stop: fd N, iteration N, state ${STATES.join("|")}, ${EVENTS.join(", ")}, a mask (EPOLLHUP) or an error (EAGAIN)`,
  );
}

function errnoOf(name: string): number | undefined {
  for (let errno = 1; errno < 134; errno++) if (errnoName(errno) === name) return errno;
  return undefined;
}

function describeBreakpoint({ id, on, value, condition, isTemporary, isEnabled, ignore, hits }: Breakpoint): string {
  const where = {
    fd: `fd ${value}`,
    iteration: `iteration ${value}`,
    state: `state ${value}`,
    event: String(value),
    mask: on === "mask" ? formatMask(Number(value)) : "",
    errno: on === "errno" ? errnoName(Number(value)) : "",
  }[on];
  return [
    `Breakpoint ${id} at ${where}`,
    ...(isTemporary ? ["once"] : []),
    ...(isEnabled ? [] : ["disabled"]),
    ...(condition === undefined ? [] : [`if ${condition}`]),
    ...(ignore > 0 ? [`passed over ${ignore} times`] : []),
    ...(hits > 0 ? [`hit ${hits} ${hits === 1 ? "time" : "times"}`] : []),
  ].join(", ");
}

export function breakpointsOf(session: Session, numbers: string): Breakpoint[] {
  const asked = numbers.split(/[\s,]+/).filter((number) => number !== "");
  if (asked.length === 0) throw new Error("which breakpoint? b lists them");
  return asked.map((number) => {
    const one = session.breakpoints.find(({ id }) => String(id) === number);
    if (one === undefined) throw new Error(`there is no breakpoint ${number}: b lists them`);
    return one;
  });
}

export function enable(session: Session, argument: string, isEnabled: boolean): void {
  for (const one of breakpointsOf(session, argument)) {
    one.isEnabled = isEnabled;
    session.print(`${isEnabled ? "Enabled" : "Disabled"} breakpoint ${one.id}`);
  }
  session.tellBreakpoints();
}
