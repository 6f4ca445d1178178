// Formats addresses, requests and totals for the command's output.

import type { Address, RequestInfo, ServerStats } from "../../index.ts";
import { formatAddress } from "../../kernel/address.ts";
import type { SupervisorReport } from "../../workers/supervisor.ts";
import type { Totals } from "../../workers/totals.ts";
import { formatTable } from "../table.ts";

/** Returns the log line of a request, with credentials in its target redacted unless `showsSecrets`. */
export function formatRequest({ line, status, peer }: RequestInfo, showsSecrets: boolean): string {
  return `${formatPeer(peer)}  ${printable(showsSecrets ? line : withoutSecrets(line))}  ${status}`;
}

/** Loads the search for credentials only for a request with parameters. */
function withoutSecrets(line: string): string {
  if (!line.includes("=")) return line;
  return (require("../../trace/redact.ts") as typeof import("../../trace/redact.ts")).redactLine(line);
}

export function formatStats({ requests, accepted }: Pick<ServerStats, "requests" | "accepted">): string {
  return `served ${formatCount(requests, "request")} on ${formatCount(accepted, "connection")}`;
}

export function formatCount(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

export function formatAddresses(addresses: readonly Address[]): string {
  return addresses.map(formatPeer).join(" and ");
}

function formatPeer(address: Address): string {
  return "path" in address && address.path === "" ? "unix" : formatAddress(address);
}

/** Returns a table: a line for each worker, one for those that have exited, and the totals. */
export function formatReport({ workers, exited, totals }: SupervisorReport): string {
  const cells = ({ open, accepted, requests, bytesIn, bytesOut }: Totals): string[] =>
    [open, accepted, requests, bytesIn, bytesOut].map(String);
  const header = ["worker", "pid", "state", "age", "open", "accepted", "requests", "bytes in", "bytes out"];
  const rows = [
    header,
    ...workers.map(({ worker, pid, state, ageMs, totals: own }) => [
      String(worker),
      String(pid),
      state,
      `${Math.floor(ageMs / 1000)} s`,
      ...cells(own),
    ]),
    ...(exited.count === 0 ? [] : [["exited", "", String(exited.count), "", ...cells(exited.totals)]]),
    ["total", "", "", "", ...cells(totals)],
  ];
  return formatTable(rows, { alignRight: header.map((_, i) => i) }).join("\n");
}

const MAX_LINE_LENGTH = 200;

/** Escapes control and non-ASCII bytes of client data as `\x1b`, so that a terminal does not interpret them, and truncates. */
function printable(text: string): string {
  const cut = text.length > MAX_LINE_LENGTH ? `${text.slice(0, MAX_LINE_LENGTH)}...` : text;
  // oxlint-disable-next-line no-control-regex -- those are what is escaped
  return cut.replace(/[^\x20-\x7e]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
