// Text for the prompt: masks, arguments and file descriptors.

import { formatMask } from "../../kernel/format-mask.ts";
import { errnoName } from "../../kernel/errno.ts";
import { formatPeer } from "../../trace/format.ts";
import { formatTable } from "../table.ts";
import type { FdEntry } from "./fd-table.ts";

interface MaskFormat {
  /** Print masks as numbers. */
  isNumeric: boolean;
}

export function showMask({ isNumeric }: MaskFormat, mask: number): string {
  return isNumeric ? String(mask) : formatMask(mask);
}

/** Formats a field of an event. */
export function showField(format: MaskFormat, name: string, value: unknown): string {
  if ((name === "mask" || name === "oldMask") && typeof value === "number") return showMask(format, value);
  if (name === "events" || name === "watched" || name === "interest") {
    return `[${(value as [number, number][]).map(([fd, mask]) => `(${fd}, ${showMask(format, mask)})`).join(", ")}]`;
  }
  if (name === "result" && typeof value === "number" && value < 0) return `${value} (${errnoName(-value)})`;
  return typeof value === "string" ? JSON.stringify(value) : Bun.inspect(value);
}

/** Describes an fd: `connection 127.0.0.1:51514, registered for EPOLLIN, idle, 35 bytes received, 145 sent`. */
export function describeEntry({ kind, mask, state, address, bytesIn, bytesOut }: FdEntry): string {
  const parts = [kind + (address === undefined ? "" : ` ${formatPeer(address)}`)];
  if (mask !== undefined) parts.push(`registered for ${mask === 0 ? "nothing" : formatMask(mask)}`);
  else if (kind !== "epoll") parts.push("not registered");
  if (state !== undefined) parts.push(state);
  if (kind === "connection") parts.push(`${bytesIn} bytes received, ${bytesOut} sent`);
  return parts.join(", ");
}

export function formatFdTable(format: MaskFormat, entries: readonly FdEntry[]): string {
  const hasSeveral = new Set(entries.map(({ pid }) => pid)).size > 1;
  const rows = entries.map(({ fd, pid, kind, mask, state, bytesIn, bytesOut, address }) => [
    hasSeveral ? `${pid}:${fd}` : String(fd),
    kind,
    mask === undefined ? "-" : showMask(format, mask),
    state ?? "-",
    String(bytesIn),
    String(bytesOut),
    address === undefined ? "" : formatPeer(address),
  ]);
  const header = ["fd", "type", "mask", "state", "received", "sent", "address"];
  return formatTable([header, ...rows], { alignRight: [0, 4, 5] }).join("\n");
}
