// Traces of calls with several buffers or messages, and of waits with a fraction of a millisecond.

import { expect, setDefaultTimeout, test } from "bun:test";
import { AF_UNIX, EPOLLIN, MSG_TRUNC, SOCK_DGRAM, type TraceEvent } from "../../src/index.ts";
import { Epoll } from "../../src/io/epoll.ts";
import { MessageBatch } from "../../src/io/message-batch.ts";
import { Socket, socketpair } from "../../src/io/socket.ts";
import { OpenFd } from "../../src/io/owned-fd.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { Tracer } from "../../src/trace/tracer.ts";
import { everySocketIsClosed } from "../support/sockets.ts";

setDefaultTimeout(60_000);
everySocketIsClosed();

test("contain the bytes of all buffers that were sent or received", () => {
  const events: TraceEvent[] = [];
  const sys = new Tracer({ listener: (event) => void events.push(event), bytes: true }).wrapProgram(syscalls());
  const [a, b] = socketpair(AF_UNIX, SOCK_DGRAM).map(
    (end) => new Socket(AF_UNIX, SOCK_DGRAM, 0, new OpenFd(end.detach()), sys),
  );
  using client = a as Socket;
  using server = b as Socket;
  client.sendmsg(["GET / ", "HTTP/1.1\r\n", "x"]);
  server.recvmsgInto([new Uint8Array(4), new Uint8Array(100)]);
  client.sendmmsg([{ data: "one" }, { data: "three" }]);
  const batch = new MessageBatch({ capacity: 4, messageSize: 4, family: AF_UNIX });
  server.recvmmsgInto(batch);
  server.sendmmsg(batch, 0, 1);
  client.recvmmsg(3, 2, 0, MSG_TRUNC);
  client.recvmmsg(3, 2);

  const transfers = events.flatMap((event) => {
    if (event.type !== "recv" && event.type !== "send") return [];
    return [[event.call, event.wanted, event.result, event.bytes, ...(event.line === undefined ? [] : [event.line])]];
  });
  expect(transfers).toEqual([
    ["sendmsg", 17, 17, "GET / HTTP/1.1\r\nx", "GET / HTTP/1.1"],
    ["recvmsg", 104, 17, "GET / HTTP/1.1\r\nx", "GET / HTTP/1.1"],
    ["sendmmsg", 8, 8, "onethree"],
    ["recvmmsg", 16, 7, "onethre"],
    ["sendmmsg", 16, 4, "thre"],
    ["recvmmsg", 6, 2, "th"],
    ["recvmmsg", 6, -11, undefined],
  ]);
});

test("have a wait with its exact timeout", () => {
  const events: TraceEvent[] = [];
  using epoll = new Epoll({ trace: (event) => void events.push(event) });
  const [here, there] = socketpair();
  epoll.register(here, EPOLLIN);
  there.send("x");
  epoll.poll(1.25);
  epoll.poll(1000);
  const waits = events.flatMap((event) => (event.type === "wait" ? [[event.timeoutMs, event.result]] : []));
  expect(waits).toEqual([
    [1.25, 1],
    [1000, 1],
  ]);
  here.close();
  there.close();
});
