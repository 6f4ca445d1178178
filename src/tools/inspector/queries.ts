// Responses to the page's queries: file descriptors, connections, timings, the kernel's lists, and source lines.

import { formatMask } from "../../kernel/format-mask.ts";
import { formatPeer } from "../../trace/format.ts";
import { type FdInfo, inspectFdIn } from "../../trace/fd-info.ts";
import { compareInstances, explainFd } from "../debugger/kernel-statements.ts";
import { findSourceFile, parsePosition, readSourceLines } from "../source-lines.ts";
import type { LiveView } from "./live-view.ts";
import { MAX_ROWS } from "./fd-query.ts";
import { isFdColumn } from "./fd-row.ts";
import type {
  ConnectionResponse,
  FdInfoResponse,
  FdsResponse,
  InterestDiffResponse,
  KernelResponse,
  SourceResponse,
  TimingsResponse,
} from "./messages.ts";
import { respond, respondJson } from "./responses.ts";

const CONTEXT_LINES = 6;

const NOT_LIVE = "A saved trace has no live file descriptors.\n";

/** Returns a window of the open fds that match a filter, in the order of a column. */
export function fdsResponse(view: LiveView | undefined, parameters: URLSearchParams): Response {
  if (view === undefined) return respond(404, NOT_LIVE);
  const column = parameters.get("column") ?? "fd";
  if (!isFdColumn(column)) return respond(400, "There is no column with this name.\n");
  const [offset, limit] = [integerOf(parameters, "offset", 0), integerOf(parameters, "limit", MAX_ROWS)];
  if (offset === undefined || limit === undefined) return respond(400, "offset and limit must be integers from 0.\n");
  const isDescending = parameters.get("order") === "descending";
  try {
    const query = { filter: parameters.get("filter") ?? "", column, isDescending, offset, limit };
    return respondJson(view.queryFds(query) satisfies FdsResponse);
  } catch (error) {
    return respond(400, `${error instanceof Error ? error.message : String(error)}\n`);
  }
}

/** Returns the recent events of one connection: of an fd from when it was opened until it was closed. */
export async function connectionResponse(view: LiveView | undefined, parameters: URLSearchParams): Promise<Response> {
  if (view === undefined) return respond(404, NOT_LIVE);
  const fd = integerOf(parameters, "fd", undefined);
  const openedUs = Number(parameters.get("opened") ?? 0);
  const afterSeq = integerOf(parameters, "after", 0);
  const pid = parameters.has("pid") ? integerOf(parameters, "pid", undefined) : undefined;
  if (fd === undefined || !(openedUs >= 0) || afterSeq === undefined) {
    return respond(400, "fd and after must be integers from 0, and opened a time in microseconds.\n");
  }
  const events = await view.eventsOf({ fd, pid, openedUs, afterSeq });
  if (events !== undefined) return respondJson(events satisfies ConnectionResponse);
  return view.target.state === "ended"
    ? respond(410, "The server has stopped, and its events are no longer kept.\n")
    : respond(503, "The server's thread does not answer: it is busy in its own code.\n");
}

/** Returns the kernel's interest list of each epoll instance, and which of its fds are ready. */
export function kernelResponse(view: LiveView | undefined): Response {
  if (view === undefined) return respond(404, NOT_LIVE);
  const instances = view.target.state === "ended" ? [] : view.kernelInstances();
  return respondJson({ instances } satisfies KernelResponse);
}

/** Returns the distribution of the time per iteration, handler and request. */
export function timingsResponse(view: LiveView | undefined): Response {
  return view === undefined ? respond(404, NOT_LIVE) : respondJson(view.timings satisfies TimingsResponse);
}

/** Returns undefined if the parameter is not an integer from 0. */
function integerOf(parameters: URLSearchParams, name: string, missing: number | undefined): number | undefined {
  const text = parameters.get(name);
  if (text === null) return missing;
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Describes a file descriptor of the loop. Other file descriptors of its process are not disclosed: the response is null. */
export function fdInfoResponse(view: LiveView | undefined, parameters: URLSearchParams): Response {
  const fd = integerOf(parameters, "fd", undefined) ?? -1;
  const pid = integerOf(parameters, "pid", undefined);
  const entry = view?.entry(fd, pid);
  if (view === undefined || entry === undefined) return respondJson(null);
  try {
    const kernel = view.target.kernelOf(pid);
    return respondJson({
      fd,
      ...(pid === undefined ? {} : { pid }),
      why: explainFd(fd, entry.registrations, kernel),
      facts: factsOf(inspectFdIn(kernel, fd)),
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
  const { messages, registered } = compareInstances(sample.entries, (pid) => view.target.kernelOf(pid));
  return respondJson({ messages, registered } satisfies InterestDiffResponse);
}

/** Returns source lines of this package or of the program being debugged; other files are not disclosed. */
export function sourceResponse(
  position: string,
  { program, pid }: { program?: string | undefined; pid?: number | undefined } = {},
): Response {
  const { file, line } = parsePosition(position) ?? { file: "", line: 0 };
  const isOwn = /^src\/(?:[\w-]+\/)*[\w-]+\.ts$/.test(file) || (file !== "" && file === program);
  // Another process has its own source files: those in the directory of its program are shown.
  const isOfProcess = pid !== undefined && file !== "" && findSourceFile(file, program) !== undefined;
  if (!isOwn && !isOfProcess)
    return respond(404, "Only source files of the event loop and of the program are shown.\n");
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
    ["Accept queue", kind === "listener" && tcp ? `${tcp.unacked} of at most ${tcp.sacked} connections` : undefined],
    ["TCP state", tcp?.state],
    ["Round-trip time", hasPeer ? `${tcp.rttUs} µs` : undefined],
    ["Retransmits", hasPeer ? String(tcp.totalRetransmitted) : undefined],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
}
