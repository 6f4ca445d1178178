// System calls of the shim that take an offset into their buffer.

import { expect, setDefaultTimeout, test } from "bun:test";
import { AF_INET, EPOLLIN, SOCK_DGRAM } from "../../../src/kernel/constants.ts";
import { addressBuffer, decodeAddress, encodeAddress } from "../../../src/kernel/address.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";
import { socketpair } from "../../../src/io/socket.ts";
import { everySocketIsClosed, Pair, Place, text, until } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

const sys = syscalls();

test.each(["send", "write"] as const)("%s sends the given number of bytes from the offset", (call) => {
  using pair = new Pair(...socketpair());
  const bytes = Buffer.from("..abc..");
  const fd = pair.client.fileno();
  expect(call === "send" ? sys.send(fd, bytes, 2, 3, 0) : sys.write(fd, bytes, 2, 3)).toBe(3);
  expect(text(pair.server.recv(10))).toBe("abc");
});

test.each(["recv", "read"] as const)("%s stores at most the given number of bytes at the offset", (call) => {
  using pair = new Pair(...socketpair());
  pair.client.send("abcdef");
  const bytes = new Uint8Array(8).fill(46);
  const fd = pair.server.fileno();
  expect(call === "recv" ? sys.recv(fd, bytes, 2, 3, 0) : sys.read(fd, bytes, 2, 3)).toBe(3);
  expect(text(bytes)).toBe("..abc...");
  expect(text(pair.server.recv(10))).toBe("def");
});

test("an offset is relative to the view, not to its buffer", () => {
  using pair = new Pair(...socketpair());
  expect(sys.send(pair.client.fileno(), Buffer.from("....abcdef").subarray(4), 1, 2, 0)).toBe(2);
  const memory = new Uint8Array(8).fill(46);
  expect(sys.recv(pair.server.fileno(), memory.subarray(3), 1, 4, 0)).toBe(2);
  expect(text(memory)).toBe("....bc..");
});

test("sendto and recvfrom apply the offset", () => {
  using place = new Place("AF_INET");
  using sender = place.bound(SOCK_DGRAM);
  using receiver = place.bound(SOCK_DGRAM);
  const to = receiver.getsockname();
  const encoded = encodeAddress(sys, to as { address: string; port: number }, AF_INET);
  expect(sys.sendto(sender.fileno(), Buffer.from("..abc.."), 2, 3, 0, encoded)).toBe(3);
  until(receiver, EPOLLIN);
  const bytes = new Uint8Array(8).fill(46);
  const from = addressBuffer();
  expect(sys.recvfrom(receiver.fileno(), bytes, 4, 4, 0, from)).toBe(3);
  expect(text(bytes)).toBe("....abc.");
  expect(decodeAddress(sys, from)).toEqual(sender.getsockname());
});
