// Responses to the page's queries: file descriptors, the kernel's interest list, and source lines.

import { formatMask } from "../../kernel/format-mask.ts";
import { formatPeer } from "../../trace/format.ts";
import { type FdInfo, inspectFd } from "../../trace/fd-info.ts";
import { compareInstances, explainFd } from "../debugger/kernel-statements.ts";
import { parsePosition, readSourceLines } from "../source-lines.ts";
import type { LiveView } from "./live-view.ts";
import type { FdInfoResponse, InterestDiffResponse, SourceResponse } from "./messages.ts";
import { respond, respondJson } from "./responses.ts";

const CONTEXT_LINES = 6;

/** Describes a file descriptor of the loop. Other file descriptors of this process are not disclosed: the response is null. */
export function fdInfoResponse(view: LiveView | undefined, fd: number): Response {
  const entry = view?.latestSample?.entries.find((one) => one.fd === fd);
  if (entry === undefined) return respondJson(null);
  try {
    return respondJson({
      fd,
      why: explainFd(fd, entry.registrations),
      facts: factsOf(inspectFd(fd)),
    } satisfies FdInfoResponse);
  } catch {
    return respondJson(null); // closed since the sample was taken
  }
}

/** Compares the registered masks with the kernel's interest list. */
export function interestDiffResponse(view: LiveView | undefined): Response {
  const sample = view?.latestSample;
  if (view === undefined || sample === undefined) {
    return respond(404, "There is no live epoll instance to compare with.\n");
  }
  if (view.target.state !== "paused") {
    return respond(409, "The interest list changes while the loop runs: pause it first.\n");
  }
  if (sample.entries.length < sample.open) return respond(409, "There are too many file descriptors to compare.\n");
  const { messages, registered } = compareInstances(sample.entries);
  return respondJson({ messages, registered } satisfies InterestDiffResponse);
}

/** Returns source lines of this package or of the program being debugged; other files are not disclosed. */
export function sourceResponse(position: string, program: string | undefined): Response {
  const { file, line } = parsePosition(position) ?? { file: "", line: 0 };
  const isAllowed = /^src\/(?:[\w-]+\/)*[\w-]+\.ts$/.test(file) || (file !== "" && file === program);
  if (!isAllowed) return respond(404, "Only source files of the event loop and of the program are shown.\n");
  try {
    return respondJson(readSourceLines(file, line, CONTEXT_LINES) satisfies SourceResponse);
  } catch {
    return respond(404, "The source file does not exist.\n");
  }
}

function factsOf({
  kind,
  file,
  ready,
  receiveQueueBytes,
  sendQueueBytes,
  local,
  peer,
  tcp,
}: FdInfo): [string, string][] {
  const hasPeer = tcp !== undefined && kind !== "listener"; // a listener's tcp_info has other meanings
  const facts: [string, string | undefined][] = [
    ["Type", `${kind}, ${file}`],
    ["Local address", local && formatPeer(local)],
    ["Peer address", peer && formatPeer(peer)],
    ["Ready for", ready === 0 ? "nothing" : formatMask(ready)],
    ["Recv-Q", receiveQueueBytes === undefined ? undefined : `${receiveQueueBytes} bytes`],
    ["Send-Q", sendQueueBytes === undefined ? undefined : `${sendQueueBytes} bytes`],
    ["TCP state", tcp?.state],
    ["Round-trip time", hasPeer ? `${tcp.rttUs} µs` : undefined],
    ["Retransmits", hasPeer ? String(tcp.totalRetransmitted) : undefined],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
}
