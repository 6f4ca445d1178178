// The syntax of breakpoint locations at the prompt, and the descriptions of breakpoints.

import * as constants from "../../kernel/constants.ts";
import { formatMask } from "../../kernel/format-mask.ts";
import { errnoName } from "../../kernel/errno.ts";
import { suggest } from "../../kernel/suggest.ts";
import { CONNECTION_STATES, EVENT_TYPES } from "../breakpoint-values.ts";
import type { Breakpoint } from "./thread-messages.ts";

const MAX_ERRNO = 133;
export const MASK_NAMES: readonly string[] = Object.keys(constants).filter((name) => /^EPOLL(?!_)[A-Z]+$/.test(name));

/**
 * Parses a location: `42`, `server.ts:42`, `fd 5`, `iteration 12`, `state idle`, `EPOLLHUP`, `EAGAIN`, `accept`.
 *
 * @param locateLine returns `FILE:LINE`; without a file, the line is in the current one
 * @throws {Error} if the location is invalid, with a suggestion or the valid locations
 */
export function parseLocation(
  text: string,
  locateLine: (file: string | undefined, line: number) => string,
): Pick<Breakpoint, "on" | "value"> {
  const [, file, line] = /^(?:(.+):)?(\d{1,6})$/.exec(text) ?? [];
  if (line !== undefined) return { on: "line", value: locateLine(file, Number(line)) };
  const [word = "", value = "", ...more] = text.split(/\s+/);
  if (more.length === 0 && value !== "") {
    const isNumbered = word === "fd" || word === "pid" || word === "tid" || word === "iteration";
    if (isNumbered && /^\d+$/.test(value)) return { on: word, value: Number(value) };
    if (word === "state" && CONNECTION_STATES.includes(value)) return { on: "state", value };
  } else if (more.length === 0) {
    if ((EVENT_TYPES as readonly string[]).includes(word)) return { on: "event", value: word };
    const mask: unknown = (constants as Record<string, unknown>)[word];
    if (/^EPOLL[A-Z]+$/.test(word) && typeof mask === "number") return { on: "mask", value: mask };
    const errno = errnoOf(word);
    if (errno !== undefined) return { on: "errno", value: errno };
  }
  throw new Error(`${JSON.stringify(text)} is not a breakpoint location: ${hintFor(word, value)}`);
}

function hintFor(word: string, value: string): string {
  if (word === "lap") return `did you mean "iteration ${value === "" ? "N" : value}"?`;
  const closest = value === "" && suggest(word, [...EVENT_TYPES, ...MASK_NAMES]);
  if (closest) return `did you mean ${closest}?`;
  return `use LINE, FILE:LINE, fd N, pid N, tid N, iteration N, state ${CONNECTION_STATES.join("|")}, an event type (${EVENT_TYPES.join(", ")}), a mask (EPOLLHUP) or an error (EAGAIN)`;
}

function errnoOf(name: string): number | undefined {
  for (let errno = 1; errno <= MAX_ERRNO; errno++) if (errnoName(errno) === name) return errno;
  return undefined;
}

export function describeBreakpoint(breakpoint: Breakpoint): string {
  const { id, condition, isTemporary, isEnabled, ignore, hits } = breakpoint;
  return [
    `${isTemporary ? "Temporary breakpoint" : "Breakpoint"} ${id} at ${describeLocation(breakpoint)}`,
    ...(isEnabled ? [] : ["disabled"]),
    ...(condition === undefined ? [] : [`if ${condition}`]),
    ...(ignore > 0 ? [describeIgnore(ignore)] : []),
    ...(hits > 0 ? [`hit ${hits} ${hits === 1 ? "time" : "times"}`] : []),
  ].join(", ");
}

function describeLocation({ on, value }: Breakpoint): string {
  switch (on) {
    case "mask":
      return formatMask(Number(value));
    case "errno":
      return errnoName(Number(value));
    case "event":
    case "line":
      return String(value);
    case "watch":
      return `a change of ${value}`;
    default:
      return `${on} ${value}`;
  }
}

/** As in gdb: `ignore next 3 hits`. */
export function describeIgnore(count: number): string {
  return count === 1 ? "ignore next hit" : `ignore next ${count} hits`;
}
