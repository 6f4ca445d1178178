// Random calls of every exported function and class: no crash, only this package's errors, and no fd left open.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import * as library from "../../src/index.ts";
import {
  AF_INET,
  ClosedError,
  Epoll,
  ErrnoError,
  EventFd,
  EventList,
  Inotify,
  LookupError,
  MemFd,
  MessageBatch,
  pipe,
  PidFd,
  Signals,
  SOCK_DGRAM,
  Socket,
  socketpair,
  TimerFd,
  TraceError,
} from "../../src/index.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { leavesNoFd } from "../support/fds.ts";
import { fuzz, isFuzzRun } from "../support/fuzzing.ts";

setDefaultTimeout(60_000);
if (isFuzzRun) setDefaultTimeout(10_000_000);

// oxlint-disable-next-line typescript/no-explicit-any -- everything is passed to everything
type Any = any;

/** Values that no function expects, or that only some expect. */
const values: (() => unknown)[] = [
  ...[undefined, null, true, false, 0, 1, -1, 7, 0.5, NaN, Infinity, -Infinity, 1e300].map((value) => () => value),
  ...[2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 32 + 1, 2 ** 53, 1n, -1n, 2n ** 64n, "", "x", "1", "a\0b"].map(
    (value) => () => value,
  ),
  () => Symbol("x"),
  () => ({}),
  () => Object.create(null),
  () => [],
  () => [1],
  () => [[1, 2]],
  () => ["x"],
  () => [null],
  () => () => 1,
  () => new Map([[1, 2]]),
  () => new Map([["x", "y"]]),
  () => new Date(0),
  () => new Proxy({}, {}),
  () => ({ fileno: () => -1 }),
  () => ({ fileno: () => "x" }),
  () => ({ fileno: () => 1 }),
  () => ({ valueOf: () => 1, toString: () => "x" }),
  () => ({ address: "127.0.0.1", port: 9 }),
  () => ({ address: "::1", port: 65_536 }),
  () => ({ path: "" }),
  () => ({ path: "\0epoll-hello-random" }),
  () => ({ path: 5 }),
  () => [{ fds: [0] }],
  () => [{ fds: [] }],
  () => [{ fds: "x" }],
  () => [{ credentials: null }],
  () => [{ level: 1, type: 1, data: new Uint8Array(4) }],
  () => [{ packetInfo: { ifindex: 1, localAddress: "127.0.0.1" } }, { hopLimit: 5 }],
  () => [{ packetInfo: null }],
  () => [{ data: "x", address: { address: "127.0.0.1", port: 9 } }],
  () => [{ data: 5, ancillary: 5 }],
  () => ({ capacity: 2, messageSize: 4 }),
  () => new MessageBatch({ capacity: 2, messageSize: 4 }),
  () => ({ family: 0 }),
  () => ({ family: 16, bytes: new Uint8Array(10) }),
  () => ({ cid: 1, port: -1 }),
  () => ({ value: 1n, interval: -1 }),
  () => ({ value: 10, isAbsolute: 1 }),
  () => ({ encoding: "buffer" }),
  () => ({ encoding: 5 }),
  () => ({ type: "wait", events: 5 }),
  () => ({ type: "recv", bytes: 5, result: "x" }),
  () => ({ status: 5 }),
  () => ({ trace: 5 }),
  () => ({ signal: 5 }),
  () => "hello",
  () => new Uint8Array(8),
  () => Buffer.from("hello"),
  () => new Uint8Array(new SharedArrayBuffer(8)),
  () => new Uint16Array(8),
  () => new ArrayBuffer(8),
  () => new DataView(new ArrayBuffer(8)),
  () => new Proxy(new Uint8Array(8), {}),
  () => Object.create(Uint8Array.prototype),
  () => Object.defineProperty(new Uint8Array(8), "byteLength", { value: 1 << 20 }),
  () => {
    const bytes = new Uint8Array(8);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    return bytes;
  },
  () => {
    const buffer = new ArrayBuffer(16, { maxByteLength: 16 } as Any);
    const bytes = new Uint8Array(buffer, 8);
    (buffer as Any).resize(4);
    return bytes;
  },
];

/** A process that no signal can reach any more. */
let ended: PidFd;

/** Objects of every class, of which a sequence of calls uses the same ones. */
class World {
  readonly objects: Record<string, object>;
  readonly #stack = new DisposableStack();

  constructor() {
    const host = syscalls();
    const use = <T extends Disposable>(value: T): T => this.#stack.use(value);
    const [stream, peer] = socketpair();
    const [reader, writer] = pipe();
    use(peer);
    use(writer);
    this.objects = {
      // Never waits, though a timeout may be indefinite.
      Epoll: use(new Epoll(undefined, { ...host, epoll_wait: (fd, out, max) => host.epoll_wait(fd, out, max, 0) })),
      EventList: new EventList(4),
      MessageBatch: new MessageBatch({ capacity: 4, messageSize: 4, ancillarySize: 24 }),
      Socket: use(stream),
      "Socket (datagrams)": use(new Socket(AF_INET, SOCK_DGRAM)),
      "Socket (listening)": use(new Socket()),
      Descriptor: use(reader),
      EventFd: use(new EventFd()),
      TimerFd: use(new TimerFd()),
      Inotify: use(new Inotify()),
      PidFd: use(PidFd.fromfd(ended.dup())),
      MemFd: use(new MemFd("random")),
      Signals: use(new Signals(["SIGUSR2"])),
    };
    (this.objects["Socket (listening)"] as Socket).bind({ address: "127.0.0.1", port: 0 });
    peer.send("some bytes to receive");
    writer.write("some bytes to read");
  }

  close(): void {
    this.#stack.dispose();
  }
}

/** The members that are internal, or that would do something to this process. */
const EXCLUDED = new Set(["constructor", "sys", "open", "transfer", "waitInto", "receiveInto"]);
/** These have tests of their own, servers and signal handlers, or the constructor of Error. */
const OTHER_TESTS = new Set(["EpollServer", "ServerSocket", "Signals", "TraceError"]);

interface Function_ {
  name: string;
  call: (world: World, args: unknown[]) => unknown;
}

function functions(): Function_[] {
  const all: Function_[] = [];
  const example = new World();
  for (const [name, value] of Object.entries(library) as [string, Any][]) {
    if (typeof value !== "function" || OTHER_TESTS.has(name)) continue;
    const isClass = /^class\b/.test(Function.prototype.toString.call(value));
    all.push({ name, call: (_, args) => (isClass ? new value(...args) : value(...args)) });
    if (isClass && Object.hasOwn(value, "fromfd")) {
      // A number that is open would be taken over.
      const fromfd = (arg: unknown): unknown =>
        typeof arg === "number" && arg >= 0 && arg < 2 ** 31 ? undefined : value.fromfd(arg);
      all.push({ name: `${name}.fromfd`, call: (_, [arg]) => fromfd(arg) });
    }
  }
  for (const [name, object] of Object.entries(example.objects)) {
    for (const key of propertiesOf(object)) {
      all.push({
        name: `${name}.${key}`,
        call(world, args) {
          const target = world.objects[name] as Any;
          const isMethod =
            typeof Object.getOwnPropertyDescriptor(prototypeWith(object, key), key)?.value === "function";
          return isMethod ? target[key](...args) : target[key];
        },
      });
    }
  }
  example.close();
  return all;
}

function prototypeWith(object: object, key: string): object {
  let prototype = Object.getPrototypeOf(object) as object;
  while (!Object.hasOwn(prototype, key)) prototype = Object.getPrototypeOf(prototype) as object;
  return prototype;
}

function propertiesOf(object: object): string[] {
  const keys: string[] = [];
  for (let p = Object.getPrototypeOf(object); p !== Object.prototype; p = Object.getPrototypeOf(p)) {
    keys.push(...Object.getOwnPropertyNames(p));
  }
  return [...new Set(keys)].filter((key) => !EXCLUDED.has(key));
}

const isOwnError = (error: unknown): boolean =>
  [ErrnoError, ClosedError, LookupError, TraceError].some((kind) => error instanceof kind) ||
  (error instanceof Error && /^(ERR_[A-Z_]+|E[A-Z0-9]+)$/.test(String((error as { code?: unknown }).code)));

/** Closes what a call has returned: objects, and the fds of `dup`, `detach` and received messages. */
function closeResult(name: string, result: Any, depth = 0): void {
  if (/\.(dup|detach)$/.test(name) && typeof result === "number") syscalls().close(result);
  if (typeof result !== "object" || result === null || depth > 3 || ArrayBuffer.isView(result)) return;
  if (typeof result.close === "function") return void result.close();
  if (Array.isArray(result.fds)) for (const fd of result.fds) syscalls().close(fd);
  for (const each of Object.values(result)) closeResult(name, each, depth + 1);
}

/** Makes a call. Returns a description if it threw an error that is not this package's. */
function attempt(world: World, { name, call }: Function_, args: unknown[]): string | undefined {
  try {
    closeResult(name, call(world, args));
    return undefined;
  } catch (error) {
    if (isOwnError(error)) return undefined;
    if (name === "formatEvents" && /typed array view|ArrayBuffer/.test(String(error))) return undefined; // by the argument's iterator
    const shown = args.map((arg) => (typeof arg === "symbol" ? "a symbol" : Bun.inspect(arg).slice(0, 60))).join(", ");
    return `${name}(${shown}): ${String(error)}`;
  }
}

let all: Function_[];
beforeAll(async () => {
  const child = Bun.spawn(["sleep", "1000"]);
  ended = new PidFd(child.pid);
  child.kill();
  await child.exited;
  all = functions();
});
afterAll(() => ended.close());

test("each function and method throws only this package's errors, whatever its arguments are", async () => {
  expect(all.length).toBeGreaterThan(100);
  const failures: string[] = [];
  await leavesNoFd(() => {
    for (const each of all) {
      for (const create of values) {
        const world = new World();
        for (let count = 0; count < 4; count++) {
          const args = Array.from({ length: count }, () => create());
          failures.push(attempt(world, each, args) ?? "");
        }
        world.close();
      }
    }
  });
  expect(failures.filter((failure) => failure !== "")).toEqual([]);
});

test("sequences of random calls crash nothing, and leave no fd open", async () => {
  let calls = 0;
  const value = fc.nat(values.length - 1);
  const step = fc.tuple(fc.nat(all.length - 1), fc.array(value, { maxLength: 5 }));
  await leavesNoFd(async () => {
    const property = fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
      const world = new World();
      calls += steps.length;
      try {
        for (const [i, args] of steps) {
          const failure = attempt(
            world,
            all[i] as Function_,
            args.map((j) => values[j]?.()),
          );
          expect(failure).toBeUndefined();
        }
      } finally {
        world.close();
      }
    });
    await fuzz("calls", property, 150);
    Bun.gc(true);
  });
  if (isFuzzRun) console.log(`fuzz: calls: ${calls} calls of ${all.length} functions and methods`);
});
