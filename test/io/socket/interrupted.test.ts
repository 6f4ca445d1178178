// Interrupted calls and rare errors, simulated by replaced system calls.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { AF_UNIX, SOCK_STREAM } from "../../../src/kernel/constants.ts";
import { syscalls, type Syscalls } from "../../../src/kernel/ffi.ts";
import { OpenFd } from "../../../src/io/owned-fd.ts";
import { Socket } from "../../../src/io/socket.ts";
import { WOULD_BLOCK } from "../../../src/io/transfer.ts";
import { failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

const EINTR = 4;

/** Creates a socket whose system call `name` returns these results in turn, and counts the calls. */
function scripted(name: keyof Syscalls, ...results: number[]): { socket: Socket; calls: () => number } {
  let calls = 0;
  const sys: Syscalls = { ...syscalls(), close: () => 0, [name]: () => results[calls++] ?? -22 };
  return { socket: new Socket(AF_UNIX, SOCK_STREAM, 0, new OpenFd(0x3fffffff), sys), calls: () => calls };
}

const address = { path: "/x" };
const calls: [name: keyof Syscalls, call: (socket: Socket) => unknown, blocked: unknown][] = [
  ["accept4", (socket) => socket.accept(), null],
  ["recv", (socket) => socket.recv(10), null],
  ["recv", (socket) => socket.recvInto(new Uint8Array(10)), WOULD_BLOCK],
  ["send", (socket) => socket.send("x"), WOULD_BLOCK],
  ["sendto", (socket) => socket.sendto("x", address), WOULD_BLOCK],
  ["recvfrom", (socket) => socket.recvfrom(10), null],
  ["sendmsg", (socket) => socket.sendmsg(["x"]), WOULD_BLOCK],
  ["recvmsg", (socket) => socket.recvmsg(10), null],
];

describe.each(calls)("%s", (name, call, blocked) => {
  test("is repeated after EINTR", () => {
    const { socket, calls } = scripted(name, -EINTR, -EINTR, -11);
    expect(call(socket)).toEqual(blocked);
    expect(calls()).toBe(3);
  });

  test("throws the error that follows EINTR", () => {
    const { socket } = scripted(name, -EINTR, -104);
    expect(failure(() => call(socket))).toEqual(["ECONNRESET", name]);
  });
});

test("an interrupted connect returns false and is not repeated", () => {
  const { socket, calls } = scripted("connect", -EINTR);
  expect(socket.connect(address)).toBe(false);
  expect(calls()).toBe(1);
});

test("an interrupted close succeeds and is not repeated", () => {
  const { socket, calls } = scripted("close", -EINTR);
  socket.close();
  expect(socket.closed).toBe(true);
  expect(calls()).toBe(1);
});

test.each([
  ["ECONNABORTED", 103],
  ["ENFILE", 23],
  ["ENOBUFS", 105],
  ["ENOMEM", 12],
  ["EPROTO", 71],
])("accept throws %s", (code, errno) => {
  const { socket } = scripted("accept4", -errno);
  expect(failure(() => socket.accept())).toEqual([code, "accept4"]);
});

test.each([
  ["ETIMEDOUT", 110],
  ["EHOSTUNREACH", 113],
  ["ENETDOWN", 100],
])("recv and connect throw %s", (code, errno) => {
  expect(failure(() => scripted("recv", -errno).socket.recv(1))).toEqual([code, "recv"]);
  expect(failure(() => scripted("connect", -errno).socket.connect(address))).toEqual([code, "connect"]);
});
