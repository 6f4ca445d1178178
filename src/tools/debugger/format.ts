// How the prompt shows masks, arguments, descriptors and lines of the program.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatMask } from "../../kernel/format-mask.ts";
import { errnoName } from "../../kernel/errno.ts";
import { formatPeer } from "../../trace/format.ts";
import type { Session } from "./session.ts";
import type { FdEntry } from "./fd-table.ts";

const CONTEXT_LINES = 8;

export function showMask(session: Session, mask: number): string {
  return session.isNumeric ? String(mask) : formatMask(mask);
}

export function showArgument(session: Session, name: string, value: unknown): string {
  if ((name === "mask" || name === "oldMask") && typeof value === "number") return showMask(session, value);
  if (name === "events") {
    return `[${(value as [number, number][]).map(([fd, mask]) => `(${fd}, ${showMask(session, mask)})`).join(", ")}]`;
  }
  if (name === "result" && typeof value === "number" && value < 0) return `${value} (${errnoName(-value)})`;
  return typeof value === "string" ? JSON.stringify(value) : Bun.inspect(value);
}

export function about({ kind, mask, state, address, bytesIn, bytesOut }: FdEntry): string {
  return [
    kind + (address === undefined ? "" : ` ${formatPeer(address)}`),
    mask === undefined
      ? kind === "epoll"
        ? undefined
        : "not watched"
      : `watched for ${mask === 0 ? "nothing" : formatMask(mask)}`,
    state,
    kind === "connection" ? `${bytesIn} bytes in, ${bytesOut} out` : undefined,
  ]
    .filter((part) => part !== undefined)
    .join(", ");
}

export function table(session: Session, entries: readonly FdEntry[]): string {
  const rows = [
    ["fd", "what", "mask", "state", "in", "out", "address"],
    ...entries.map(({ fd, kind, mask, state, bytesIn, bytesOut, address }) => [
      String(fd),
      kind,
      mask === undefined ? "-" : showMask(session, mask),
      state ?? "-",
      String(bytesIn),
      String(bytesOut),
      address === undefined ? "" : formatPeer(address),
    ]),
  ];
  const widths = (rows[0] as string[]).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] as number))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function sourceAround(at: string): string {
  const [, file = "", number = "0"] = /^(.*):(\d+)$/.exec(at) ?? [];
  const line = Number(number);
  const lines = readFileSync(file.startsWith("/") ? file : join(import.meta.dir, "../../..", file), "utf8").split("\n");
  const first = Math.max(1, line - CONTEXT_LINES);
  const shown = lines.slice(first - 1, line + CONTEXT_LINES);
  return [
    at,
    ...shown.map((text, i) => `${String(first + i).padStart(4)} ${first + i === line ? "->" : "  "} ${text}`),
  ].join("\n");
}
