// What a page may ask for: lines of the loop's program, and the facts of a descriptor.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { formatMask } from "../../kernel/format-mask.ts";
import type { FdInfo } from "../../trace/kernel-state.ts";
import { formatPeer } from "../../trace/format.ts";
import { answer, answerJson } from "./access-control.ts";
import type { SourceResponse } from "./messages.ts";

const CONTEXT_LINES = 6;
const root = join(import.meta.dir, "../../..");

/** Some lines around one, if it is of this package's own program, or of the one that is watched. */
export function source(at: string, program: string | undefined): Response {
  const [, path = "", number = ""] = /^(.*):(\d{1,6})$/.exec(at) ?? [];
  const file = /^src\/(?:[\w-]+\/)*[\w-]+\.ts$/.test(path) || path === program ? path : "";
  if (file === "") return answer(404, "Only lines of the loop's own program are shown.\n");
  try {
    const all = readFileSync(resolve(root, file), "utf8").split("\n");
    const line = Number(number);
    const first = Math.max(1, line - CONTEXT_LINES);
    const lines = all.slice(first - 1, line + CONTEXT_LINES);
    return answerJson({ file, first, line, lines } satisfies SourceResponse);
  } catch {
    return answer(404, "This file is not there.\n");
  }
}

/** By name, those that there are. */
export function facts({ kind, file, ready, unread, unsent, local, peer, tcp }: FdInfo): [string, string][] {
  const all: [string, string | undefined][] = [
    ["what", `${kind}, ${file}`],
    ["here", local && formatPeer(local)],
    ["peer", peer && formatPeer(peer)],
    ["ready for", ready === 0 ? "nothing" : formatMask(ready)],
    ["bytes to read", unread?.toString()],
    ["bytes unsent", unsent?.toString()],
    ["TCP state", tcp?.state],
    ["round trip", tcp === undefined || kind === "listener" ? undefined : `${tcp.rttUs} µs`],
    ["retransmits", tcp === undefined || kind === "listener" ? undefined : String(tcp.totalRetransmitted)],
  ];
  return all.filter((fact): fact is [string, string] => fact[1] !== undefined);
}
