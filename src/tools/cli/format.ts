// Addresses, requests and counts in words, as the command prints them.

import type { Address, RequestInfo, ServerStats } from "../../index.ts";
import { formatEndpoint } from "../../kernel/address.ts";
import type { Totals } from "../../workers/totals.ts";
import type { WorkersReport } from "../../workers/supervisor.ts";
import { printable } from "./stdout.ts";

export function describeRequest({ line, status, peer }: RequestInfo): string {
  return `${describe(peer)}  ${printable(line)}  ${status}`;
}

export function describeStats({ requests, accepted }: Pick<ServerStats, "requests" | "accepted">): string {
  return `served ${count(requests, "request")} on ${count(accepted, "connection")}`;
}

export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

export function describeAll(addresses: readonly Address[]): string {
  return addresses.map(describe).join(" and ");
}

export function describe(address: Address): string {
  if ("path" in address) return address.path === "" ? "unix" : formatEndpoint(address.path);
  return formatEndpoint(address.address, address.port);
}

/** A line for each worker, one for those that have ended, and the sum. */
export function describeReport({ workers, ended, total }: WorkersReport): string {
  const cells = ({ open, accepted, requests, bytesIn, bytesOut }: Totals): string[] =>
    [open, accepted, requests, bytesIn, bytesOut].map(String);
  const rows = [
    ["worker", "pid", "state", "age", "open", "accepted", "requests", "bytes in", "bytes out"],
    ...workers.map(({ worker, pid, state, ageMs, counts }) => [
      String(worker),
      String(pid),
      state,
      `${Math.floor(ageMs / 1000)} s`,
      ...cells(counts),
    ]),
    ...(ended.count === 0 ? [] : [["ended", "", String(ended.count), "", ...cells(ended.counts)]]),
    ["sum", "", "", "", ...cells(total)],
  ];
  const widths = (rows[0] as string[]).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => row.map((cell, i) => cell.padStart(widths[i] as number)).join("  ")).join("\n");
}
