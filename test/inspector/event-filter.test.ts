// Filters of the inspector's event list: keys, negation, text, and connections whose fd numbers are reused.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { TraceEvent } from "../../src/index.ts";
import { parseFilter } from "../../src/tools/inspector/client/event-filter.ts";
import { eventAt, recv, wait } from "../support/trace-events.ts";

setDefaultTimeout(60_000);

const peer = (port: number): object => ({ family: "IPv4", address: "127.0.0.1", port });
const EVENTS: TraceEvent[] = [
  { type: "listen", fd: 5, address: peer(80) },
  wait(5),
  { type: "accept", fd: 5, result: 7, peer: peer(51514) },
  { type: "ctl", epfd: 4, op: "ADD", fd: 7, oldMask: null, mask: 1, result: 0 },
  { type: "state", fd: 7, from: "new", to: "head" },
  wait(7, 9),
  { ...recv(7), line: "GET /a HTTP/1.1" },
  { type: "recv", fd: 9, wanted: 10, result: -11 },
  { type: "send", call: "write", fd: 7, wanted: 10, result: -104 },
  { type: "close", fd: 7, result: 0 },
  { type: "accept", fd: 5, result: 7, peer: peer(40000) },
  { ...recv(7), line: "GET /b HTTP/1.1" },
  { type: "warning", code: "busy-loop", fd: 9, message: "fd 9 stays ready" },
  { type: "close", fd: 7, result: 0 },
].map((event, i) => eventAt(i, event, i + 1));

/** Returns the sequence numbers of the events that match. */
function matching(query: string, events: readonly TraceEvent[] = EVENTS): number[] {
  const { matches, error } = parseFilter(query);
  expect(error).toBeUndefined();
  return events.filter(matches).map(({ seq }) => seq);
}

test.each<[query: string, seqs: number[]]>([
  ["", EVENTS.map(({ seq }) => seq)],
  ["fd:9", [6, 8, 13]],
  ["fd:5,9", [1, 2, 3, 6, 8, 11, 13]],
  ["type:recv", [7, 8, 12]],
  ["type:recv,close", [7, 8, 10, 12, 14]],
  ["type:epoll_wait", [2, 6]],
  ["type:accept4", [3, 11]],
  ["type:write", [9]],
  ["errno:EAGAIN", [8]],
  ["errno:econnreset", [9]],
  ["errno:*", [8, 9]],
  ["mask:EPOLLIN", [2, 4, 6]],
  ["mask:in type:ctl", [4]],
  ["state:head", [5]],
  ["code:busy-loop", [13]],
  ["iteration:1 type:warning", [13]],
  ["GET", [7, 12]],
  ['"GET /b"', [12]],
  ["-type:wait,ctl,state -fd:7", [1, 8, 13]],
  ["FD:9 Type:Recv", [8]],
])("%s", (query, seqs) => {
  expect(matching(query)).toEqual(seqs);
});

describe("a connection", () => {
  test("by peer: its events from accept to close, and not those of the next connection with the same fd", () => {
    expect(matching("peer:51514")).toEqual([3, 4, 5, 6, 7, 9, 10]);
    expect(matching("peer:40000")).toEqual([11, 12, 14]);
  });

  test("by fd and first event: until the fd is closed", () => {
    expect(matching("conn:7@3")).toEqual([3, 4, 5, 6, 7, 9, 10]);
    expect(matching("conn:7@11")).toEqual([11, 12, 14]);
  });

  test("by peer, if it was accepted before the first event", () => {
    const open = [
      {
        fd: 7,
        kind: "connection" as const,
        mask: 1,
        registrations: [],
        state: undefined,
        address: { family: "IPv4" as const, address: "127.0.0.1", port: 51514 },
        bytesIn: 0,
        bytesOut: 0,
        sinceIteration: 0,
        sinceUs: 0,
      },
    ];
    const { matches } = parseFilter("peer:51514", open);
    expect(
      EVENTS.slice(5)
        .filter(matches)
        .map(({ seq }) => seq),
    ).toEqual([6, 7, 9, 10]);
  });
});

test.each(["fd:x", "type:nosuch", "conn:7", "color:red", "fd:"])("%s is an error, and matches everything", (query) => {
  const { error, matches } = parseFilter(query);
  expect(error).toContain(query.split(":")[0] === "type" ? "nosuch" : (query.split(":")[0] as string));
  expect(EVENTS.every(matches)).toBe(true);
});
