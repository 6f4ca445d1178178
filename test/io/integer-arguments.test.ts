// Integer arguments of the whole library: every wrong value is refused with the name of the argument and its range.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import * as library from "../../src/index.ts";
import {
  AF_INET,
  CMSG_LEN,
  CMSG_SPACE,
  compareInterest,
  Descriptor,
  Epoll,
  EPOLLIN,
  EpollServer,
  ErrnoError,
  EventFd,
  EventList,
  explainReadiness,
  formatEvents,
  formatInotifyMask,
  formatMask,
  ifIndexToName,
  Inotify,
  inspectFd,
  interestList,
  LookupError,
  MemFd,
  MessageBatch,
  notify,
  pipe,
  PidFd,
  SOCK_DGRAM,
  Socket,
  socketpair,
  TimerFd,
  watch,
} from "../../src/index.ts";
import { Epoll as NpmEpoll } from "../../src/npm-epoll/index.ts";
import { openFds } from "../support/fds.ts";

setDefaultTimeout(60_000);

// oxlint-disable-next-line typescript/no-explicit-any -- the tests pass wrong types
type Any = any;

const WRONG: [text: string, value: unknown][] = [
  ["NaN", NaN],
  ["0.5", 0.5],
  ["-1", -1],
  ["-(2 ** 31)", -(2 ** 31)],
  ["-(2 ** 31) - 1", -(2 ** 31) - 1],
  ["2 ** 31", 2 ** 31],
  ["2 ** 32", 2 ** 32],
  ["2 ** 32 + 1", 2 ** 32 + 1],
  ["1e300", 1e300],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
  ['"1"', "1"],
  ["null", null],
  ["undefined", undefined],
  ["{}", {}],
  ["[1]", [1]],
  ["1n", 1n],
  ["true", true],
  ["a symbol", Symbol("1")],
  ["an object with valueOf", { valueOf: () => 1, toString: () => "1" }],
];

interface Argument {
  name: string;
  call: (value: Any) => unknown;
  /** The values of WRONG that are right here. */
  accepts: (value: unknown) => boolean;
}

const none = (): boolean => false;
const omitted = (value: unknown): boolean => value === undefined;
const mask = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= -(2 ** 31) && (value as number) < 2 ** 32;
const size53 = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 53;
const milliseconds = (value: unknown): boolean => value === undefined || (typeof value === "number" && value >= 0);
const timeout = (value: unknown): boolean =>
  value == null || value === 0.5 || value === Infinity || (typeof value === "number" && value < 0);
const either =
  (...all: ((value: unknown) => boolean)[]) =>
  (value: unknown): boolean =>
    all.some((one) => one(value));

function argument(name: string, call: (value: Any) => unknown, accepts: (value: unknown) => boolean = none): Argument {
  return { name, call, accepts };
}

const stack = new DisposableStack();
const epoll = stack.use(new Epoll());
const counter = stack.use(new EventFd());
const registered = stack.use(new EventFd());
epoll.register(registered, EPOLLIN);
const socket = stack.use(new Socket());
const [one, other] = socketpair();
stack.use(one);
stack.use(other);
const [reader, writer] = pipe();
stack.use(reader);
stack.use(writer);
const file = stack.use(new MemFd("integers"));
const inotify = stack.use(new Inotify());
const timer = stack.use(new TimerFd());
const process_ = stack.use(new PidFd(process.pid));
const poller = new NpmEpoll(() => {});
const server = new EpollServer({ hostname: "127.0.0.1", response: "" });
const message = new Uint8Array(4);
const datagrams = stack.use(new Socket(AF_INET, SOCK_DGRAM));
const batch = new MessageBatch({ capacity: 4, messageSize: 4 });
const filled = new MessageBatch({ capacity: 1, messageSize: 4 });
filled.push("x");
const netlinkBatch = new MessageBatch({ capacity: 1024, messageSize: 1, family: 16 });
const here = { address: "127.0.0.1", port: 9 };
const list = new EventList(4);
const fdLike = (value: unknown): boolean => Object(value) === value && typeof (value as Any).fileno === "function";

const arguments_: Record<string, Argument[]> = {
  CMSG_LEN: [argument("length", CMSG_LEN)],
  CMSG_SPACE: [argument("length", CMSG_SPACE)],
  ErrnoError: [
    argument(
      "errno",
      (n) => new ErrnoError(n, "open"),
      (v) => v === 2 ** 31 - 1,
    ),
  ],
  LookupError: [
    argument(
      "eai",
      (n) => new LookupError(n, "host"),
      (v) => mask(v) && (v as number) < 2 ** 31,
    ),
  ],
  formatMask: [argument("mask", formatMask, mask)],
  formatInotifyMask: [argument("mask", formatInotifyMask, mask)],
  formatEvents: [
    argument(
      "fd",
      (n) => formatEvents([[n, 1]]),
      (v) => v === -1,
    ),
    argument("mask", (n) => formatEvents([[1, n]]), mask),
  ],
  compareInterest: [
    argument("fd", (n) => compareInterest(new Map(), n), fdLike),
    argument("a mask of registered", (n) => compareInterest(new Map([[1, n]]), epoll), either(omitted, mask)),
  ],
  interestList: [argument("fd", interestList, fdLike)],
  inspectFd: [argument("fd", inspectFd, fdLike)],
  explainReadiness: [argument("registeredMask", (n) => explainReadiness(inspectFd(counter), n), either(omitted, mask))],
  notify: [argument("mainPid", (n) => notify({ mainPid: n }), omitted)],
  socketpair: [
    argument("family", (n) => socketpair(n), omitted),
    argument("type", (n) => socketpair(1, n), omitted),
    argument("protocol", (n) => socketpair(1, 1, n), omitted),
  ],
  watch: [argument("fd", (n) => watch(n, EPOLLIN)), argument("mask", (n) => watch(counter, n), mask)],
  "Descriptor.fromfd": [argument("fd", (n) => Descriptor.fromfd(n))],
  "Descriptor.read": [argument("size", (n) => reader.read(n))],
  Epoll: [
    argument(
      "options",
      (n) => new Epoll(n),
      (v) => v === undefined || (Object(v) === v && typeof v === "object"),
    ),
  ],
  "Epoll.fromfd": [argument("fd", (n) => Epoll.fromfd(n))],
  "Epoll.register": [
    argument("fd", (n) => epoll.register(n)),
    argument("mask", (n) => epoll.register(counter, n), either(omitted, mask)),
    argument("token", (n) => epoll.register(counter, 1, n), either(omitted, mask)),
  ],
  "Epoll.modify": [
    argument("fd", (n) => epoll.modify(n, 1)),
    argument("mask", (n) => epoll.modify(registered, n), mask),
    argument("token", (n) => epoll.modify(registered, 1, n), either(omitted, mask)),
  ],
  "Epoll.unregister": [argument("fd", (n) => epoll.unregister(n))],
  "Epoll.poll": [
    argument("timeoutMs", (n) => epoll.poll(n), timeout),
    argument(
      "maxEvents",
      (n) => epoll.poll(0, n),
      (v) => v === undefined || v === -1,
    ),
  ],
  "Epoll.pollInto": [argument("timeoutMs", (n) => epoll.pollInto(list, n), timeout)],
  "Epoll.waitInto": [],
  "Epoll.receiveInto": [],
  MessageBatch: [
    argument("capacity", (n) => new MessageBatch({ capacity: n, messageSize: 1 })),
    argument("messageSize", (n) => new MessageBatch({ capacity: 1, messageSize: n })),
    argument("ancillarySize", (n) => new MessageBatch({ capacity: 1, messageSize: 1, ancillarySize: n }), omitted),
    argument("family", (n) => new MessageBatch({ capacity: 1, messageSize: 1, family: n }), omitted),
  ],
  "MessageBatch.offset": [argument("i", (n) => batch.offset(n))],
  "MessageBatch.size": [argument("i", (n) => batch.size(n))],
  "MessageBatch.fullSize": [argument("i", (n) => batch.fullSize(n))],
  "MessageBatch.data": [argument("i", (n) => batch.data(n))],
  "MessageBatch.address": [argument("i", (n) => batch.address(n))],
  "MessageBatch.flags": [argument("i", (n) => batch.flags(n))],
  "MessageBatch.ancillary": [argument("i", (n) => batch.ancillary(n))],
  "MessageBatch.resize": [argument("i", (n) => batch.resize(n, 1)), argument("size", (n) => filled.resize(0, n))],
  "MessageBatch.push": [
    argument(
      "pid",
      (n) => netlinkBatch.push("x", { pid: n }),
      either(omitted, (v) => v === 2 ** 31),
    ),
    argument(
      "groups",
      (n) => netlinkBatch.push("x", { groups: n }),
      either(omitted, (v) => v === 2 ** 31),
    ),
  ],
  ifIndexToName: [argument("index", ifIndexToName)],
  EventList: [argument("capacity", (n) => new EventList(n), omitted)],
  "EventList.fd": [argument("i", (n) => list.fd(n))],
  "EventList.mask": [argument("i", (n) => list.mask(n))],
  "EventList.token": [argument("i", (n) => list.token(n))],
  EventFd: [
    argument(
      "initial",
      (n) => new EventFd(n),
      either(omitted, (v) => v === 2 ** 31),
    ),
  ],
  "EventFd.fromfd": [argument("fd", (n) => EventFd.fromfd(n))],
  "EventFd.write": [
    argument(
      "count",
      (n) => counter.write(n),
      either(omitted, size53, (v) => v === 1n),
    ),
  ],
  Inotify: [argument("the first argument", (n) => new (Inotify as Any)(n), omitted)],
  "Inotify.fromfd": [argument("fd", (n) => Inotify.fromfd(n))],
  "Inotify.add": [argument("mask", (n) => inotify.add("/", n), mask)],
  "Inotify.remove": [argument("wd", (n) => inotify.remove(n))],
  "MemFd.fromfd": [argument("fd", (n) => MemFd.fromfd(n))],
  "MemFd.truncate": [argument("size", (n) => file.truncate(n), size53)],
  "MemFd.read": [argument("position", (n) => file.read(n, 1), size53), argument("size", (n) => file.read(0, n))],
  "MemFd.write": [argument("position", (n) => file.write(n, ""), size53)],
  "MemFd.seal": [argument("seals", (n) => file.seal(n))],
  PidFd: [argument("pid", (n) => new PidFd(n))],
  "PidFd.fromfd": [argument("fd", (n) => PidFd.fromfd(n))],
  "PidFd.kill": [argument("signal", (n) => process_.kill(n), omitted)],
  Socket: [
    argument("family", (n) => new Socket(n), omitted),
    argument("type", (n) => new Socket(2, n), omitted),
    argument("protocol", (n) => new Socket(2, 1, n), omitted),
    argument("the fourth argument", (n) => new (Socket as Any)(2, 1, 0, n), omitted),
  ],
  "Socket.fromfd": [argument("fd", (n) => Socket.fromfd(n))],
  "Socket.listen": [argument("backlog", (n) => socket.listen(n), omitted)],
  "Socket.bind": [argument("port", (n) => socket.bind({ address: "127.0.0.1", port: n }))],
  "Socket.connect": [argument("port", (n) => socket.connect({ address: "127.0.0.1", port: n }))],
  "Socket.sendto": [
    argument("port", (n) => socket.sendto("", { address: "127.0.0.1", port: n })),
    argument("flags", (n) => socket.sendto("", here, n), omitted),
  ],
  "Socket.recv": [argument("size", (n) => one.recv(n)), argument("flags", (n) => one.recv(4, n), omitted)],
  "Socket.recvInto": [argument("flags", (n) => one.recvInto(message, n), omitted)],
  "Socket.recvfrom": [argument("size", (n) => one.recvfrom(n)), argument("flags", (n) => one.recvfrom(4, n), omitted)],
  "Socket.recvmsg": [
    argument("size", (n) => one.recvmsg(n)),
    argument("ancillarySize", (n) => one.recvmsg(4, n), omitted),
    argument("flags", (n) => one.recvmsg(4, 0, n), omitted),
  ],
  "Socket.recvfromInto": [argument("flags", (n) => one.recvfromInto(message, n), omitted)],
  "Socket.recvmsgInto": [
    argument("ancillarySize", (n) => one.recvmsgInto([message], n), omitted),
    argument("flags", (n) => one.recvmsgInto([message], 0, n), omitted),
  ],
  "Socket.sendmmsg": [
    argument("flags", (n) => datagrams.sendmmsg([], n), omitted),
    argument("start", (n) => datagrams.sendmmsg([], 0, n), omitted),
    argument("start", (n) => datagrams.sendmmsg(batch, 0, n), omitted),
  ],
  "Socket.recvmmsg": [
    argument("maxMessages", (n) => datagrams.recvmmsg(n, 1)),
    argument("size", (n) => datagrams.recvmmsg(1, n)),
    argument("ancillarySize", (n) => datagrams.recvmmsg(1, 1, n), omitted),
    argument("flags", (n) => datagrams.recvmmsg(1, 1, 0, n), omitted),
  ],
  "Socket.recvmmsgInto": [argument("flags", (n) => datagrams.recvmmsgInto(batch, n), omitted)],
  "Socket.recvFds": [argument("size", (n) => one.recvFds(n, 1)), argument("maxFds", (n) => one.recvFds(4, n))],
  "Socket.send": [argument("flags", (n) => one.send("", n), omitted)],
  "Socket.sendmsg": [
    argument("flags", (n) => one.sendmsg([""], [], n), omitted),
    argument("fd", (n) => one.sendmsg(["x"], [{ fds: [n] }])),
  ],
  "Socket.sendFds": [argument("fd", (n) => one.sendFds("x", [n]))],
  "Socket.shutdown": [argument("how", (n) => socket.shutdown(n))],
  "Socket.setsockopt": [
    argument("level", (n) => socket.setsockopt(n, 9, 1)),
    argument("name", (n) => socket.setsockopt(1, n, 1)),
    argument(
      "value",
      (n) => socket.setsockopt(1, 9, n),
      either(mask, (v) => v === true),
    ),
  ],
  "Socket.getsockopt": [
    argument("level", (n) => socket.getsockopt(n, 9)),
    argument("name", (n) => socket.getsockopt(1, n)),
    argument("length", (n) => socket.getsockopt(1, 9, n), omitted),
  ],
  "Socket.setLinger": [
    argument(
      "seconds",
      (n) => socket.setLinger(n),
      (v) => v === null,
    ),
  ],
  TimerFd: [argument("clock", (n) => new TimerFd(n), omitted)],
  "TimerFd.fromfd": [argument("fd", (n) => TimerFd.fromfd(n))],
  "TimerFd.set": [
    argument(
      "value",
      (n) => timer.set({ value: n }),
      either(size53, (v) => v === 1n),
    ),
    argument(
      "interval",
      (n) => timer.set({ value: 0, interval: n }),
      either(omitted, size53, (v) => v === 1n),
    ),
  ],
  "EpollServer.tick": [argument("timeoutMs", (n) => server.tick(n), timeout)],
  "EpollServer.stop": [
    argument("graceMs", (n) => server.stop({ graceMs: n }), milliseconds),
    argument("idleMs", (n) => server.stop({ idleMs: n }), milliseconds),
  ],
  "EpollServer.setHandlerTimeout": [
    argument("timeoutMs", (n) => server.setHandlerTimeout(new Request("http://a/"), n), milliseconds),
  ],
  "EpollServer.onReadable": [argument("fd", (n) => server.onReadable(n, () => {}))],
  "npm Epoll.add": [argument("fd", (n) => poller.add(n, 1)), argument("events", (n) => poller.add(0, n), mask)],
};

/** Functions and methods without an integer argument. */
const without = new Set([
  ..."ClosedError Descriptor EpollServer MemFd ServerSocket Signals TraceError".split(" "), // their constructors
  ..."formatEvent listenFds parseTrace pipe readTrace serve watchdogIntervalMs".split(" "),
  ..."decodePath encodePath ifNameToIndex".split(" "),
  ..."MessageBatch.bytes MessageBatch.capacity MessageBatch.messageSize MessageBatch.length MessageBatch.clear".split(
    " ",
  ),
  ..."close closed detach dup fileno isTraced sys open transfer readInto toArray toString write".split(" "),
  ..."Descriptor.write EventFd.read EventList.capacity EventList.length Inotify.read MemFd.size MemFd.seals".split(" "),
  ..."PidFd.wait Signals.read TimerFd.get TimerFd.read".split(" "),
  ..."Socket.accept Socket.getpeername Socket.getsockname Socket.peerCredentials Socket.tcpInfo".split(" "),
  // The server and its sockets have tests of their own.
  ...[
    "closeIdleConnections",
    "fetch",
    "finishStop",
    "pendingRequests",
    "pendingWebSockets",
    "port",
    "publish",
    "ref",
    "requestIP",
    "reloadTls",
    "run",
    "start",
    "startNow",
    "state",
    "stats",
    "stopped",
    "subscriberCount",
    "tlsInfo",
    "unref",
    "upgrade",
    "url",
  ].map((name) => `EpollServer.${name}`),
]);

afterAll(async () => {
  await server.stop();
  poller.close();
  stack.dispose();
});

test("the table contains every function, constructor and method that the package exports", () => {
  const names = Object.entries(library).flatMap(([name, value]) => {
    if (typeof value !== "function") return [];
    if (!/^[A-Z]/.test(name) || value.prototype === undefined) return [name];
    if (name === "ServerSocket") return [name]; // created by a server
    const statics = Object.getOwnPropertyNames(value).filter((key) => typeof (value as Any)[key] === "function");
    const methods = Object.getOwnPropertyNames(value.prototype).filter((key) => key !== "constructor");
    return [name, ...[...statics, ...methods].map((key) => `${name}.${key}`)];
  });
  const isKnown = (name: string): boolean =>
    name in arguments_ || without.has(name) || without.has(name.slice(name.indexOf(".") + 1));
  expect(names.length).toBeGreaterThan(80);
  expect(names.filter((name) => !isKnown(name))).toEqual([]);
});

const table = Object.entries(arguments_).flatMap(([method, all]) =>
  all.map((each): [string, Argument] => [`${method}: ${each.name}`, each]),
);

describe.each(table)("%s", (_, { name, call, accepts }) => {
  test.each(WRONG.filter(([, value]) => !accepts(value)))("is refused if it is %s", (_text, value) => {
    const before = openFds();
    let error: unknown;
    try {
      const result = call(value);
      (result as Disposable | undefined)?.[Symbol.dispose]?.();
    } catch (thrown) {
      error = thrown;
    }
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    expect((error as { code?: string }).code).toMatch(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/);
    expect((error as Error).message).toStartWith(`${name} must be `);
    expect((error as Error).message).toMatch(
      /from -?\d|32-bit|number of (milli|nano)seconds|at most|omitted|fileno|such as|boolean/,
    );
    expect(openFds()).toEqual(before);
  });
});

test("a fileno() that returns a wrong number is refused as the number itself is", () => {
  for (const [, value] of WRONG) {
    const like = { fileno: () => value as number };
    expect(() => epoll.register(like)).toThrow(/^fd must be /);
    expect(() => watch(like, EPOLLIN)).toThrow(/^fd must be /);
    expect(() => inspectFd(like)).toThrow(/^fd must be /);
  }
});

test("setLinger without an argument, or with undefined, does not turn the close into a reset", () => {
  expect(() => (socket as Any).setLinger()).toThrow(
    "seconds must be an integer from 0 to 2147483647, or null; received undefined",
  );
  expect([...socket.getsockopt(1, 13, 8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
});

test("kill accepts the names of signals only, not those of the properties of an object", () => {
  for (const name of ["toString", "constructor", "__proto__", "SIGNOT", ""]) {
    expect(() => process_.kill(name as never)).toThrow(
      'signal must be the name or number of a signal, such as "SIGTERM"',
    );
  }
  expect(statSync(`/proc/${process.pid}`).isDirectory()).toBe(true);
});
