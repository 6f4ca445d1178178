// Traces of several processes: the same fd number in two processes means two fds, in every view of a trace.

import { expect, setDefaultTimeout, test } from "bun:test";
import { TRACE_VERSION, type TraceDetail, type TraceEvent } from "../../src/index.ts";
import { parseTrace } from "../../src/trace/trace-file.ts";
import { fdKey, fdOfKey, pidOfKey } from "../../src/trace/fd-key.ts";
import { FdLedger } from "../../src/tools/debugger/fd-ledger.ts";
import { FdTable } from "../../src/tools/debugger/fd-table.ts";
import { IterationHistory } from "../../src/tools/debugger/iteration-history.ts";
import { parseFilter } from "../../src/tools/inspector/client/event-filter.ts";
import { toChromeTrace } from "../../src/tools/chrome-trace.ts";
import { TraceSummary } from "../../src/tools/trace-summary.ts";
import { TraceText } from "../../src/tools/trace-text.ts";

setDefaultTimeout(60_000);

const [PARENT, CHILD] = [100, 200];
const peer = (port: number) => ({ family: "IPv4", address: "127.0.0.1", port }) as const;
const wait = (fd: number): TraceDetail => {
  return { type: "wait", epfd: 4, timeoutMs: -1, maxEvents: 8, result: 1, events: [[fd, 1]], blockedUs: 1000 };
};
const add = (fd: number): TraceDetail => ({ type: "ctl", epfd: 4, op: "ADD", fd, oldMask: null, mask: 1, result: 0 });

let seq = 0;
const event = (pid: number, iteration: number, detail: TraceDetail): TraceEvent => {
  seq++;
  return { seq, us: seq * 1000, iteration, ...detail, pid, tid: pid };
};

/** A server that forks: both processes have a connection 5 and an epoll instance 4. */
function forkedTrace(): TraceEvent[] {
  seq = 1;
  const begin = { type: "begin", version: TRACE_VERSION, pid: PARENT, date: "2026-01-01T00:00:00.000Z" } as const;
  return [
    { seq: 1, us: 0, iteration: 0, ...begin },
    event(PARENT, 0, { type: "listen", fd: 3, address: peer(80) }),
    event(PARENT, 0, { type: "create", result: 4 }),
    event(PARENT, 0, add(3)),
    event(PARENT, 0, { type: "process", what: "fork", child: CHILD }),
    event(PARENT, 1, wait(3)),
    event(CHILD, 2, wait(3)),
    event(PARENT, 1, { type: "accept", fd: 3, result: 5, peer: peer(1111) }),
    event(CHILD, 2, { type: "accept", fd: 3, result: 5, peer: peer(2222) }),
    event(PARENT, 1, add(5)),
    event(PARENT, 1, { type: "recv", fd: 5, wanted: 99, result: 10 }),
    event(CHILD, 2, { type: "recv", fd: 5, wanted: 99, result: 77 }),
    event(PARENT, 1, { type: "close", fd: 5, result: 0 }),
    event(PARENT, 3, wait(3)),
  ];
}

test("a key has the number and the process, also for the largest of both", () => {
  const [maxFd, maxPid] = [2 ** 31 - 1, 2 ** 22 - 1]; // PID_MAX_LIMIT
  const key = fdKey(maxFd, maxPid);
  expect([Number.isSafeInteger(key), fdOfKey(key), pidOfKey(key)]).toEqual([true, maxFd, maxPid]);
  expect([fdOfKey(fdKey(7, undefined)), pidOfKey(fdKey(7, undefined))]).toEqual([7, undefined]);
});

test("the table of fds keeps the fds of each process apart; a fork copies them", () => {
  const table = new FdTable();
  for (const one of forkedTrace()) table.apply(one);
  expect(table.entries.map(({ pid, fd, kind, bytesIn }) => [pid, fd, kind, bytesIn])).toEqual([
    [PARENT, 3, "listener", 0],
    [PARENT, 4, "epoll", 0],
    [CHILD, 3, "listener", 0],
    [CHILD, 4, "epoll", 0],
    [CHILD, 5, "connection", 77],
  ]);
  expect(table.entry(3, CHILD)?.registrations).toEqual([{ epfd: 4, mask: 1 }]);
  expect(table.entry(5, CHILD)?.registrations).toEqual([]);
});

test("the end of a process removes its fds, and no others", () => {
  const table = new FdTable();
  for (const one of forkedTrace()) table.apply(one);
  table.apply(event(CHILD, 2, { type: "process", what: "exit", exitCode: 0 }));
  expect(table.entries.map(({ pid, fd }) => [pid, fd])).toEqual([
    [PARENT, 3],
    [PARENT, 4],
  ]);
  expect(table.pids).toEqual([PARENT]);
});

test("the ledger has the activity of each fd of each process", () => {
  const table = new FdTable();
  const ledger = new FdLedger(table);
  for (const one of forkedTrace()) {
    table.apply(one);
    ledger.observe(one);
  }
  expect(ledger.records.map(({ entry: { pid, fd } }) => [pid, fd])).toEqual([
    [PARENT, 3],
    [PARENT, 4],
    [CHILD, 3],
    [CHILD, 4],
    [CHILD, 5],
  ]);
});

test("an iteration has the events of its thread, although others happened meanwhile", () => {
  const history = new IterationHistory();
  history.add(forkedTrace());
  expect(history.at(1)?.events.map(({ type }) => type)).toEqual(["wait", "accept", "ctl", "recv", "close"]);
  expect(history.at(2)?.events.map(({ type }) => type)).toEqual(["wait", "accept", "recv"]);
  expect(history.iterations).toEqual([0, 1, 2, 3]);
});

test("a trace of several processes begins each line with the process", () => {
  const lines: string[] = [];
  const text = new TraceText({ isNumeric: true, hasTimestamps: false, print: (line) => lines.push(line) });
  for (const one of forkedTrace()) text.add(one);
  text.end();
  expect(lines.slice(4, 8).map((line) => line.replace(/ {2,}/g, " "))).toEqual([
    "#1 epoll_wait(4, -1) = [(3, 1)] +0.006s",
    "[200] #2 epoll_wait(4, -1) = [(3, 1)] +0.007s",
    "[100] accept4(3) = 5 127.0.0.1:1111",
    "[200] accept4(3) = 5 127.0.0.1:2222",
  ]);
});

test("filters by process and thread, and follows a connection of one process", () => {
  const events = forkedTrace();
  const seqsOf = (query: string): number[] => {
    const filter = parseFilter(query);
    return events.filter((one) => filter.matches(one)).map((one) => one.seq);
  };
  expect(seqsOf("pid:200 type:recv")).toEqual([12]);
  expect(seqsOf("tid:100 fd:5")).toEqual([8, 10, 11, 13]);
  expect(seqsOf("peer:2222 type:recv")).toEqual([12]);
  expect(seqsOf("conn:200:5@9")).toEqual([9, 12]);
});

test("a Chrome trace has a process for each process, and a lane for each of its fds", () => {
  const { traceEvents } = JSON.parse([...toChromeTrace(forkedTrace())].join("")) as {
    traceEvents: { name: string; ph: string; pid: number; tid: number; args: Record<string, unknown> }[];
  };
  const names = traceEvents
    .filter(({ name }) => name === "thread_name")
    .map(({ pid, tid, args }) => [pid, tid, args["name"]]);
  expect(names).toContainEqual([PARENT, 5, "fd 5: connections"]);
  expect(names).toContainEqual([CHILD, 5, "fd 5: connections"]);
  expect(traceEvents.filter(({ name }) => name === "process_name").map(({ pid }) => pid)).toEqual([PARENT, CHILD]);
  const open = traceEvents.filter(({ name, pid }) => name === "open fds" && pid === CHILD);
  expect(open.at(-1)?.args).toEqual({ "open fds": 2 });
});

test("totals by fd are those of one process", () => {
  const summary = new TraceSummary();
  for (const one of forkedTrace()) summary.add(one);
  const text = summary.formatDetails().join("\n");
  expect(text).toMatch(/ 1 +77 +process 200, accepted from fd 3/); // accept4 counts for the listener
  expect(text).toContain("3 waits, by the number of ready fds: 1: 3");
});

test("a saved trace with processes is read again", () => {
  const events = forkedTrace();
  expect(parseTrace(events.map((one) => `${JSON.stringify(one)}\n`).join(""))).toEqual(events);
  const wrong = events.map((one, i) => `${JSON.stringify(i === 3 ? { ...one, pid: "7" } : one)}\n`).join("");
  expect(() => parseTrace(wrong)).toThrow('line 4: not a trace event: "pid" must be an integer above 0; received "7"');
});
