// Lengths: what the kernel returns is checked against the buffer, and the engine, not the object, says how long that is.

import { ptr } from "bun:ffi";
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  AF_INET,
  AF_UNIX,
  Descriptor,
  Epoll,
  EPOLLIN,
  EventFd,
  EventList,
  Inotify,
  MemFd,
  MSG_PEEK,
  MSG_TRUNC,
  pipe,
  SO_TYPE,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  Socket,
  socketpair,
  SOL_SOCKET,
  TimerFd,
  type TraceEvent,
  WOULD_BLOCK,
} from "../../src/index.ts";
import { fillEvents } from "../../src/io/event-list.ts";
import { syscalls, type Syscalls, untracedSyscalls, wrapSyscalls } from "../../src/kernel/ffi.ts";
import { OpenFd } from "../../src/io/owned-fd.ts";
import { Tracer } from "../../src/trace/tracer.ts";
import { everySocketIsClosed, kinds, Pair, Place, text, until } from "../support/sockets.ts";

setDefaultTimeout(60_000);
everySocketIsClosed();
afterEach(() => wrapSyscalls((sys) => sys));

// oxlint-disable-next-line typescript/no-explicit-any -- the tests pass wrong types
type Any = any;

const SECRET = "SECRET-of-another-connection".padEnd(2000, "!");

/** Receives bytes that no other socket may ever see. */
function receiveSecret(): void {
  using pair = new Pair(...socketpair());
  pair.client.send(SECRET);
  expect(text(pair.server.recv(65_536))).toBe(SECRET);
}

describe("with MSG_TRUNC", () => {
  const datagrams: [name: string, open: () => Pair][] = [
    ...kinds.map((kind): [string, () => Pair] => [
      kind,
      () => {
        using place = new Place(kind);
        return place.datagrams();
      },
    ]),
    ["AF_UNIX seqpacket", () => new Pair(...socketpair(AF_UNIX, SOCK_SEQPACKET))],
  ];

  test.each(datagrams)("a datagram of %s is cut off at the size, and contains no other socket's bytes", (_, open) => {
    using pair = open();
    for (let i = 0; i < 4; i++) pair.client.send("0123456789".repeat(10));
    until(pair.server, EPOLLIN);
    receiveSecret();
    for (const flags of [MSG_TRUNC | MSG_PEEK, MSG_TRUNC]) {
      expect(text(pair.server.recv(4, flags))).toBe("0123");
    }
    expect(text(pair.server.recvfrom(4, MSG_TRUNC)?.data)).toBe("0123");
    const message = pair.server.recvmsg(4, 0, MSG_TRUNC);
    expect([text(message?.data), (message?.flags ?? 0) & MSG_TRUNC]).toEqual(["0123", MSG_TRUNC]);
    const buffer = new Uint8Array(8);
    expect(pair.server.recvInto(buffer.subarray(0, 4), MSG_TRUNC)).toBe(4);
    expect(Buffer.from(buffer).toString()).toBe("0123\0\0\0\0");
  });

  test.each(["AF_INET", "AF_INET6"] as const)("TCP over %s discards the bytes, so none are returned", (kind) => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.send("x".repeat(100));
    until(pair.server, EPOLLIN);
    receiveSecret();
    expect(pair.server.recv(100, MSG_TRUNC | MSG_PEEK)).toEqual(new Uint8Array(0));
    expect(pair.server.recv(10, MSG_TRUNC)).toEqual(new Uint8Array(0));
    expect(pair.server.recvfrom(10, MSG_TRUNC)?.data).toEqual(new Uint8Array(0));
    expect(pair.server.recvmsg(10, 0, MSG_TRUNC)?.data).toEqual(new Uint8Array(0));
    const buffer = new Uint8Array(10).fill(7);
    expect(pair.server.recvInto(buffer, MSG_TRUNC)).toBe(10); // the number of bytes that were discarded
    expect([...buffer]).toEqual(Array<number>(10).fill(7));
    expect(pair.server.recv(100)).toHaveLength(60);
  });

  test("a unix stream, which ignores the flag, returns its bytes", () => {
    using pair = new Pair(...socketpair());
    pair.client.send("bytes");
    expect(text(pair.server.recv(100, MSG_TRUNC))).toBe("bytes");
  });

  test("a trace shows only what was received", () => {
    const events: TraceEvent[] = [];
    const sys = new Tracer({ listener: (event) => events.push(event), bytes: true }).wrapProgram(untracedSyscalls());
    const [client, server] = socketpair(AF_UNIX, SOCK_DGRAM);
    using pair = new Pair(client, new Socket(AF_UNIX, SOCK_DGRAM, 0, new OpenFd(server.detach()), sys));
    pair.client.send("y".repeat(100));
    pair.server.recv(4, MSG_TRUNC);
    expect(events.find((event) => event.type === "recv")).toMatchObject({ result: 100, wanted: 4, bytes: "yyyy" });
  });
});

test("the listener of a trace may receive from another socket without changing what recv returns", () => {
  const [client, server] = socketpair();
  using other = new Pair(...socketpair());
  other.client.send(SECRET);
  const sys = new Tracer((event) => {
    if (event.type === "recv") other.server.recv(65_536);
  }).wrapProgram(untracedSyscalls());
  using pair = new Pair(client, new Socket(AF_UNIX, SOCK_STREAM, 0, new OpenFd(server.detach()), sys));
  pair.client.send("mine");
  expect(text(pair.server.recv(65_536))).toBe("mine");
});

describe("a length from the kernel that exceeds the buffer", () => {
  const EXCESS = 1000;

  /** Every call that returns a length returns one that is too large, and every address claims to be too long. */
  const lying = (sys: Syscalls): Syscalls => {
    const more = (n: number): number => (n >= 0 ? n + EXCESS : n);
    const longer = (bytes: Uint8Array | Int32Array): void => {
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, EXCESS, true);
    };
    return {
      ...sys,
      recv: (...args) => more(sys.recv(...args)),
      recvmsg: (...args) => more(sys.recvmsg(...args)),
      recvfrom(...args) {
        const n = more(sys.recvfrom(...args));
        longer(args[5]);
        return n;
      },
      read: (...args) => more(sys.read(...args)),
      getsockopt: (...args) => more(sys.getsockopt(...args)),
      epoll_wait: (...args) => more(sys.epoll_wait(...args)),
      getsockname(fd, address) {
        const n = sys.getsockname(fd, address);
        longer(address);
        return n;
      },
    };
  };

  test("is cut off by every method of Socket", () => {
    wrapSyscalls(lying);
    using pair = new Pair(...socketpair());
    receiveSecretOf(pair);
    const buffer = new Uint8Array(4);
    for (let i = 0; i < 4; i++) pair.client.send("ab");
    expect(pair.server.recv(2)?.length).toBeLessThanOrEqual(2);
    expect(pair.server.recvInto(buffer.subarray(0, 2))).toBe(2);
    expect(pair.server.recvfrom(2)?.data).toHaveLength(2);
    expect(pair.server.recvmsg(2)?.data).toHaveLength(2);
    expect(pair.server.getsockopt(SOL_SOCKET, SO_TYPE, 4)).toHaveLength(4);
    expect((pair.server.getsockname() as { path: string }).path.length).toBeLessThanOrEqual(128);
  });

  test("is cut off by every class that reads", () => {
    wrapSyscalls(lying);
    const [reader, writer] = pipe();
    writer.write("ab");
    expect(reader.read(2)).toHaveLength(2);
    writer.write("ab");
    expect(reader.readInto(new Uint8Array(2))).toBe(2);
    reader.close();
    writer.close();
    using counter = new EventFd(3);
    expect(counter.read()).toBe(3n);
    using timer = new TimerFd();
    expect(timer.read()).toBeNull();
    using inotify = new Inotify();
    inotify.add(import.meta.dir, 0x20 /* IN_OPEN */);
    using file = new MemFd("x");
    expect(file.read(0, 4)).toHaveLength(0);
    new Bun.Glob("*").scanSync(import.meta.dir).next();
    for (const { wd } of inotify.read()) expect(wd).toBeGreaterThanOrEqual(0);
  });

  test("is cut off by Epoll", () => {
    wrapSyscalls(lying);
    using epoll = new Epoll();
    using counter = new EventFd(1);
    epoll.register(counter, EPOLLIN);
    const list = new EventList(1);
    expect([epoll.pollInto(list, 0), list.length, list.toArray()]).toEqual([1, 1, [[counter.fileno(), EPOLLIN]]]);
    expect(epoll.poll(0, 2).length).toBeLessThanOrEqual(2);
  });

  function receiveSecretOf({ client, server }: Pair): void {
    client.send(SECRET);
    server.recv(65_536);
  }
});

test("getsockopt of SO_GET_FILTER, which the kernel counts in instructions of 8 bytes, stays within its buffer", () => {
  const SO_ATTACH_FILTER = 26;
  using socket = new Socket(AF_INET, SOCK_DGRAM);
  const accept = [6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]; // BPF_RET | BPF_K: the whole packet
  const filter = Uint8Array.from(Array.from({ length: 16 }, () => accept).flat());
  const program = new DataView(new ArrayBuffer(16)); // struct sock_fprog { u16 len; struct sock_filter *filter; }
  program.setUint16(0, 16, true);
  program.setBigUint64(8, BigInt(ptr(filter)), true);
  socket.setsockopt(SOL_SOCKET, SO_ATTACH_FILTER, new Uint8Array(program.buffer));
  const lengths: number[] = [];
  const host = syscalls();
  const sys: Syscalls = {
    ...host,
    getsockopt(fd, level, name, value, length) {
      lengths.push(value.byteLength - 8 * length);
      return host.getsockopt(fd, level, name, value, length);
    },
  };
  using same = new Socket(AF_INET, SOCK_DGRAM, 0, new OpenFd(socket.detach()), sys);
  expect(same.getsockopt(SOL_SOCKET, SO_ATTACH_FILTER, 128)).toEqual(filter);
  expect(() => same.getsockopt(SOL_SOCKET, SO_ATTACH_FILTER, 16)).toThrow("EINVAL");
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(0); // it would write 128 bytes to 16
});

/** The ways to claim another length than the memory has. */
const misreporting: [name: string, misreport: (bytes: Uint8Array) => Uint8Array][] = [
  [
    "a subclass",
    (bytes) => {
      class Liar extends Uint8Array {
        override get byteLength(): number {
          return 1 << 20;
        }
        override get length(): number {
          return 1 << 20;
        }
      }
      return new Liar(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
    },
  ],
  [
    "own properties",
    (bytes) => {
      const liar = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
      return Object.defineProperties(liar, { byteLength: { value: 1 << 20 }, length: { value: 1 << 20 } });
    },
  ],
  [
    "a changed prototype",
    (bytes) => {
      const liar = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
      const prototype = Object.create(Uint8Array.prototype, {
        byteLength: { value: 1 << 20 },
        length: { value: 1 << 20 },
      });
      return Object.setPrototypeOf(liar, prototype) as Uint8Array;
    },
  ],
];

describe.each(misreporting)("the length that %s claims", (_, misreport) => {
  test("is ignored by calls that write to the memory", () => {
    const memory = new Uint8Array(64);
    const buffer = misreport(memory.subarray(16, 32));
    using pair = new Pair(...socketpair());
    pair.client.send("x".repeat(1000));
    expect(pair.server.recvInto(buffer)).toBe(16);
    const [reader, writer] = pipe();
    writer.write("y".repeat(1000));
    expect(reader.readInto(buffer)).toBe(16);
    reader.close();
    writer.close();
    const expected = [...Array<number>(16).fill(0), ...Array<number>(16).fill(121), ...Array<number>(32).fill(0)];
    expect([...memory]).toEqual(expected);
  });

  test("is ignored by calls that read the memory", () => {
    const bytes = misreport(new Uint8Array(64).fill(7).subarray(16, 32));
    using pair = new Pair(...socketpair());
    using datagram = new Socket(AF_INET, SOCK_DGRAM);
    const [reader, writer] = pipe();
    const sent = [
      pair.client.send(bytes),
      datagram.sendto(bytes, { address: "127.0.0.1", port: 9 }),
      writer.write(bytes),
    ];
    expect(sent).toEqual([16, 16, 16]);
    reader.close();
    writer.close();
  });

  test("is ignored by messages, files, paths and options", () => {
    const bytes = misreport(new Uint8Array(64).fill(7).subarray(16, 32));
    using pair = new Pair(...socketpair());
    expect([pair.client.sendmsg([bytes]), pair.server.recv(100)?.length]).toEqual([16, 16]);
    using file = new MemFd("x");
    expect([file.write(0, bytes), file.size]).toEqual([16, 16]);
    using inotify = new Inotify();
    expect(() => inotify.add(bytes, 1)).toThrow("ENOENT");
    expect(() => pair.client.setsockopt(6, 13 /* TCP_CONGESTION */, bytes)).toThrow("EOPNOTSUPP");
  });
});

describe.each([
  ["a Proxy", new Proxy(new Uint8Array(16), {})],
  ["an object that inherits from Uint8Array", Object.create(Uint8Array.prototype)],
  ["an ArrayBuffer", new ArrayBuffer(16)],
  ["a SharedArrayBuffer", new SharedArrayBuffer(16)],
  ["a DataView", new DataView(new ArrayBuffer(16))],
  ["another typed array", new Uint16Array(8)],
  ["an array", [1, 2, 3]],
  [
    "an object with the properties of a Uint8Array",
    { byteLength: 16, length: 16, byteOffset: 0, buffer: new ArrayBuffer(16) },
  ],
])("%s", (_, value: Any) => {
  test("is not a Uint8Array", () => {
    using pair = new Pair(...socketpair());
    using file = new MemFd("x");
    const [reader, writer] = pipe();
    const rejects = /^(data|buffer|value|path) must be a /;
    expect(() => pair.client.send(value)).toThrow(rejects);
    expect(() => pair.client.sendto(value, { path: "" })).toThrow(rejects);
    expect(() => pair.client.sendmsg([value])).toThrow(rejects);
    expect(() => pair.client.recvInto(value)).toThrow(rejects);
    expect(() => pair.client.setsockopt(1, 9, value)).toThrow(rejects);
    expect(() => reader.readInto(value)).toThrow(rejects);
    expect(() => writer.write(value)).toThrow(rejects);
    expect(() => file.write(0, value)).toThrow(rejects);
    using inotify = new Inotify();
    expect(() => inotify.add(value, 1)).toThrow(rejects);
    reader.close();
    writer.close();
  });
});

/** Views whose memory is gone. */
const gone: [name: string, create: () => Uint8Array][] = [
  [
    "a transferred ArrayBuffer",
    () => {
      const bytes = new Uint8Array(16);
      structuredClone(bytes, { transfer: [bytes.buffer] });
      return bytes;
    },
  ],
  [
    "an ArrayBuffer that was resized below the view",
    () => {
      const buffer = new ArrayBuffer(32, { maxByteLength: 64 } as Any);
      const bytes = new Uint8Array(buffer, 16, 16);
      (buffer as Any).resize(8);
      return bytes;
    },
  ],
  [
    "WebAssembly memory that has grown",
    () => {
      const memory = new WebAssembly.Memory({ initial: 1 });
      const bytes = new Uint8Array(memory.buffer);
      memory.grow(1);
      return bytes;
    },
  ],
];

test.each(gone)("a view of %s is refused: 0 bytes would mean the end of the stream", (_, create) => {
  using pair = new Pair(...socketpair());
  pair.client.send("here");
  const [reader, writer] = pipe();
  writer.write("here");
  using file = new MemFd("x");
  const bytes = create();
  const rejects = /^(data|buffer|value) must be a view of existing memory/;
  for (const call of [
    () => pair.server.recvInto(bytes),
    () => pair.client.send(bytes),
    () => pair.client.sendto(bytes, { path: "" }),
    () => pair.client.sendmsg([bytes]),
    () => pair.client.setsockopt(1, 9, bytes),
    () => reader.readInto(bytes),
    () => writer.write(bytes),
    () => file.write(0, bytes),
  ]) {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(rejects);
  }
  reader.close();
  writer.close();
});

test.each([
  ["a resizable ArrayBuffer", () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 64 } as Any))],
  ["a SharedArrayBuffer", () => new Uint8Array(new SharedArrayBuffer(8))],
  ["WebAssembly memory", () => new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 100, 8)],
  ["a Buffer", () => Buffer.alloc(8)],
])("a view of %s is used like any other", (_, create) => {
  const bytes = create();
  using pair = new Pair(...socketpair());
  pair.client.send("12345678901234567890");
  expect(pair.server.recvInto(bytes)).toBe(8);
  expect(Buffer.from(bytes).toString()).toBe("12345678");
  expect(pair.server.send(bytes)).toBe(8);
});

test("a buffer that the listener of a trace shrinks between two attempts is measured again", () => {
  const buffer = new ArrayBuffer(64, { maxByteLength: 64 } as Any);
  const bytes = new Uint8Array(buffer);
  const lengths: number[] = [];
  const sys: Syscalls = {
    ...untracedSyscalls(),
    recv(_fd, _bytes, _offset, length) {
      lengths.push(length);
      (buffer as Any).resize(8); // as the listener could
      return lengths.length === 1 ? -4 /* EINTR */ : -11;
    },
  };
  const [client, server] = socketpair();
  using pair = new Pair(client, new Socket(AF_UNIX, SOCK_STREAM, 0, new OpenFd(server.detach()), sys));
  expect(pair.server.recvInto(bytes)).toBe(WOULD_BLOCK);
  expect(lengths).toEqual([64, 8]);
});

describe("an EventList", () => {
  test("has a capacity, a length and memory that cannot be replaced", () => {
    const list = new EventList(1) as Any;
    expect(() => (list.capacity = 500)).toThrow(TypeError);
    expect(() => (list.length = 500)).toThrow(TypeError);
    list.raw = new Int32Array(1);
    Object.defineProperties(list, { capacity: { value: 500 }, length: { value: 500 }, fd: { value: () => -1 } });
    using epoll = new Epoll();
    const counters = Array.from({ length: 8 }, () => new EventFd(1));
    for (const counter of counters) epoll.register(counter, EPOLLIN);
    expect(epoll.pollInto(list, 0)).toBe(1);
    expect(list.toArray()).toHaveLength(1);
    for (const counter of counters) counter.close();
  });

  test.each([
    ["an object with the same fields", { raw: new Int32Array(1), capacity: 500, length: 0 }],
    ["an object that inherits from one", Object.create(new EventList(1))],
    ["a Proxy of one", new Proxy(new EventList(1), {})],
    ["the prototype", EventList.prototype],
    ["null", null],
    ["nothing", undefined],
    ["an Int32Array", new Int32Array(64)],
  ])("is not %s", (_, list) => {
    using epoll = new Epoll();
    using counter = new EventFd(1);
    epoll.register(counter, EPOLLIN);
    expect(() => epoll.pollInto(list as EventList, 0)).toThrow(/^events must be an EventList; received /);
  });

  test("that is filled by another call than epoll_wait has no more events than its memory", () => {
    const list = new EventList(2);
    const fill = (raw: Int32Array, capacity: number): number => {
      raw.set([EPOLLIN, 7, 8]);
      return capacity + 1;
    };
    expect([fillEvents(list, fill), list.toArray()]).toEqual([
      2,
      [
        [7, EPOLLIN],
        [0, 0],
      ],
    ]);
    expect([fillEvents(list, () => -9), list.length]).toEqual([-9, 0]);
  });

  test("has no event beyond its length", () => {
    using epoll = new Epoll();
    using counter = new EventFd(1);
    epoll.register(counter, EPOLLIN, 9);
    const list = new EventList(4);
    expect(() => list.fd(0)).toThrow("i must be omitted: the list is empty; received 0");
    expect(epoll.pollInto(list, 0)).toBe(1);
    expect([list.fd(0), list.mask(0), list.token(0)]).toEqual([counter.fileno(), EPOLLIN, 9]);
    expect(() => list.fd(1)).toThrow(new RangeError("i must be an integer from 0 to 0; received 1"));
  });
});

test("a Descriptor is measured in each way that it reads", () => {
  const [reader, writer] = pipe();
  using blocking = Descriptor.fromfd(reader.detach());
  writer.write("abc");
  expect(blocking.readInto(new Uint8Array(2))).toBe(2);
  writer.close();
});
