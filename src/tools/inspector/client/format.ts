// Masks, times and sizes as the page writes them, and what each thing is called.

import { EPOLLERR, EPOLLHUP } from "../../../kernel/constants.ts";
import { formatMask } from "../../../kernel/format-mask.ts";
import { type FdEntry } from "../../debugger/fd-table.ts";
import type { TraceEvent } from "../../../trace/events.ts";
import { formatEvent, formatPeer } from "../../../trace/format.ts";
import type { TestClientKind } from "../messages.ts";

export function maskText(mask: number | undefined, isNumeric: boolean): string {
  if (mask === undefined) return "–";
  if (isNumeric) return String(mask);
  return mask === 0 ? "0" : formatMask(mask).replaceAll("EPOLL", "");
}

/** The kernel adds two bits to what was registered. */
export function isSameMask(ours: number | undefined, kernels: number | undefined): boolean {
  if (ours === undefined || kernels === undefined) return ours === kernels;
  return (ours | EPOLLERR | EPOLLHUP) >>> 0 === kernels >>> 0;
}

export function duration(us: number): string {
  if (us < 1_000) return `${us.toFixed(us < 10 ? 1 : 0)} µs`;
  if (us < 1_000_000) return `${(us / 1_000).toFixed(us < 10_000 ? 1 : 0)} ms`;
  return us < 120_000_000 ? `${(us / 1e6).toFixed(us < 1e7 ? 1 : 0)} s` : `${Math.round(us / 6e7)} min`;
}

export function size(bytes: number): string {
  if (bytes < 10_000) return String(bytes);
  return bytes < 10_000_000 ? `${Math.round(bytes / 1_000)} k` : `${Math.round(bytes / 1e6)} M`;
}

export function number(n: number): string {
  return Math.round(n).toLocaleString("en");
}

export function addressOf({ kind, address }: FdEntry): string {
  if (address === undefined) return "";
  return (kind === "listener" ? "listens at " : "with ") + formatPeer(address);
}

/** Which part of the loop an event belongs to. */
export type Phase = "wait" | "ready" | "dispatch" | "ctl";

export function phaseOf(event: TraceEvent | undefined): Phase {
  switch (event?.type) {
    case undefined:
    case "begin":
    case "listen":
    case "create":
    case "iteration":
      return "wait";
    case "wait":
      return "ready";
    case "ctl":
      return "ctl";
    default:
      return "dispatch";
  }
}

export const PHASES: Record<Phase, string> = {
  wait: "blocked in epoll_wait",
  ready: "epoll_wait has returned",
  dispatch: "handles a descriptor",
  ctl: "changes what is watched",
};

/** Whose event it is; undefined: the loop's. */
export function fdOf(event: TraceEvent): number | undefined {
  if (event.type === "accept" || event.type === "create") return event.result >= 0 ? event.result : undefined;
  return "fd" in event && event.fd !== null ? event.fd : undefined;
}

export const TEST_CLIENT_LABELS: Record<TestClientKind, string> = {
  request: "A request, as it should be",
  pipeline: "16 requests at once",
  silent: "Connects, and says nothing",
  "half-head": "Sends half a head, and stops",
  drip: "Sends a byte each 250 ms",
  "half-close": "Sends, and shuts its half",
  leave: "Connects, and leaves",
  reset: "Throws the connection away (RST)",
  garbage: "Sends what is no HTTP",
  endless: "Sends a head without an end",
  "never-reads": "Asks and asks, and never reads",
  crowd: "64 of them at once",
};

/** A line as in the terminal, without its columns. */
export function lineOf(event: TraceEvent, isNumeric: boolean): string {
  return (formatEvent(event, { isNumeric }) ?? "").replace(/(?<=\S) {2,}/g, "   ");
}
