// Validation of the page's commands, which come from outside this process and are not trusted.

import { invalidValue, outOfRange } from "../../kernel/errors.ts";
import type { Breakpoint, RunMode } from "../debugger/thread-messages.ts";
import { type PageCommand, TEST_CLIENT_KINDS } from "./messages.ts";

const MAX_EVENTS_PER_SECOND = 100;
const MAX_FD = 0x7fffffff;

/**
 * Returns the command, with its known fields only.
 *
 * @throws {RangeError} if a field is invalid; the message says which
 */
export function parseCommand(value: unknown): PageCommand {
  const command = (typeof value === "object" && value !== null ? value : {}) as PageCommand;
  switch (command.kind) {
    case "check-token":
    case "pause":
      return { kind: command.kind };
    case "resume":
      return { kind: "resume", mode: parseMode(command.mode) };
    case "set-speed":
      return { kind: "set-speed", perSecond: parseNumber("perSecond", command.perSecond, MAX_EVENTS_PER_SECOND) };
    case "add-breakpoint":
      return { kind: "add-breakpoint", ...parseBreakpoint(command.on, command.value) };
    case "remove-breakpoint":
    case "close-client":
      return { kind: command.kind, id: parseNumber("id", command.id) };
    case "start-client":
      if (!TEST_CLIENT_KINDS.includes(command.client)) {
        throw invalidValue(`client must be one of ${TEST_CLIENT_KINDS.join(", ")}`);
      }
      return { kind: "start-client", client: command.client };
    default:
      throw invalidValue("kind is not the name of a command");
  }
}

function parseNumber(name: string, value: unknown, max: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === "number" && value >= 0 && value <= max) return value;
  throw outOfRange(name, `a number from 0 to ${max}`, value);
}

function parseMode(mode: RunMode): RunMode {
  switch (mode?.kind) {
    case "continue":
    case "step":
    case "next":
      return { kind: mode.kind };
    case "return":
      return { kind: "return", fd: parseNumber("fd", mode.fd, MAX_FD) };
    case "until":
      return { kind: "until", iteration: parseNumber("iteration", mode.iteration) };
    default:
      throw invalidValue("mode must be continue, step, next, return or until");
  }
}

function parseBreakpoint(on: Breakpoint["on"], value: unknown): Pick<Breakpoint, "on" | "value"> {
  switch (on) {
    case "event":
    case "state":
      if (typeof value === "string" && /^[a-z]{1,20}$/.test(value)) return { on, value };
      throw invalidValue(`value must be the name of ${on === "event" ? "an event" : "a state"}`);
    case "fd":
    case "mask":
    case "errno":
    case "iteration":
      return { on, value: parseNumber("value", value) };
    default:
      throw invalidValue("a breakpoint must be on fd, mask, event, errno, iteration or state");
  }
}
