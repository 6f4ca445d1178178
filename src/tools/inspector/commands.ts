// Validation of the page's commands, which come from outside this process and are not trusted.

import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from "../../kernel/constants.ts";
import { invalidValue, outOfRange } from "../../kernel/errors.ts";
import { errnoNames } from "../../kernel/errno.ts";
import { CONNECTION_STATES, EVENT_TYPES } from "../breakpoint-values.ts";
import type { Breakpoint, RunMode } from "../debugger/thread-messages.ts";
import { type PageCommand, TEST_CLIENT_KINDS } from "./messages.ts";

const MIN_EVENTS_PER_SECOND = 0.1;
const MAX_EVENTS_PER_SECOND = 100;
const MAX_FD = 0x7fffffff;
/** The events that epoll_wait reports; others would never match. */
const REPORTED_EVENTS = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP;

/**
 * Returns the command, with its known fields only.
 *
 * @throws {RangeError} if a field is invalid; the message says which
 */
export function parseCommand(value: unknown): PageCommand {
  const command = (typeof value === "object" && value !== null ? value : {}) as PageCommand;
  switch (command.kind) {
    case "pause":
      return { kind: "pause" };
    case "resume":
      return { kind: "resume", mode: parseMode(command.mode) };
    case "set-speed":
      return { kind: "set-speed", perSecond: parseSpeed(command.perSecond) };
    case "add-breakpoint":
      return { kind: "add-breakpoint", ...parseBreakpoint(command.on, command.value) };
    case "remove-breakpoint":
    case "close-client":
      return { kind: command.kind, id: parseInteger("id", command.id) };
    case "start-client":
      if (!TEST_CLIENT_KINDS.includes(command.client)) {
        throw invalidValue(`client must be one of ${TEST_CLIENT_KINDS.join(", ")}`);
      }
      return { kind: "start-client", client: command.client };
    default:
      throw invalidValue("kind is not the name of a command");
  }
}

function parseInteger(name: string, value: unknown, min: number = 0, max: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  throw outOfRange(name, `an integer from ${min} to ${max}`, value);
}

function parseSpeed(value: unknown): number {
  const [min, max] = [MIN_EVENTS_PER_SECOND, MAX_EVENTS_PER_SECOND];
  if (value === 0 || (typeof value === "number" && value >= min && value <= max)) return value;
  throw outOfRange("perSecond", `0 (full speed) or a number from ${min} to ${max}`, value);
}

function parseMode(mode: RunMode): RunMode {
  switch (mode?.kind) {
    case "continue":
    case "step":
    case "next":
      return { kind: mode.kind };
    case "return":
      return {
        kind: "return",
        fd: parseInteger("fd", mode.fd, 0, MAX_FD),
        ...(mode.pid === undefined ? {} : { pid: parseInteger("pid", mode.pid, 1, MAX_FD) }),
      };
    case "until":
      return { kind: "until", iteration: parseInteger("iteration", mode.iteration) };
    default:
      throw invalidValue("mode must be continue, step, next, return or until");
  }
}

function parseBreakpoint(on: Breakpoint["on"], value: unknown): Pick<Breakpoint, "on" | "value"> {
  switch (on) {
    case "event":
      return { on, value: parseName(value, EVENT_TYPES, "an event") };
    case "state":
      return { on, value: parseName(value, CONNECTION_STATES, "a state") };
    case "fd":
      return { on, value: parseInteger("fd", value, 0, MAX_FD) };
    case "pid":
    case "tid":
      return { on, value: parseInteger(on, value, 1, MAX_FD) };
    case "mask":
      if (typeof value === "number" && value !== 0 && (value & REPORTED_EVENTS) === value) return { on, value };
      throw invalidValue("mask must be one or more of EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP and EPOLLRDHUP");
    case "errno":
      if (errnoNames().has(value as number)) return { on, value: value as number };
      throw invalidValue("errno must be the number of an error, such as 11 for EAGAIN");
    case "iteration":
      return { on, value: parseInteger("iteration", value, 1) };
    default:
      throw invalidValue("a breakpoint must be on fd, pid, tid, mask, event, errno, iteration or state");
  }
}

function parseName(value: unknown, names: readonly string[], what: string): string {
  if (typeof value === "string" && names.includes(value)) return value;
  throw invalidValue(`value must be the name of ${what}: ${names.join(", ")}`);
}
