// EACCES and EPERM for operations of an unprivileged process.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { AF_UNIX, SOCK_STREAM } from "../../../src/kernel/constants.ts";
import { Socket } from "../../../src/io/socket.ts";
import { runBun } from "../../support/children.ts";
import { Place } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

const isRoot = process.getuid?.() === 0;
const firstFreePort = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));

/** Returns code, message and address of the error of a call on `socket` in an unprivileged process. */
async function asNobody(family: number, call: string): Promise<unknown> {
  const { output, stderr } = await runBun(`
    import { Socket } from "./src/index.ts";
    using socket = new Socket(${family});
    if (process.getuid() === 0) process.setuid(65534);
    try {
      ${call}
      console.log(null);
    } catch ({ name, code, errno, syscall, address, port }) {
      console.log(JSON.stringify({ name, code, errno, syscall, address, port }));
    }`);
  expect(stderr).toBe("");
  return output;
}

describe("without privileges", () => {
  test.skipIf(firstFreePort <= 81)("a privileged port fails with EACCES", async () => {
    expect(await asNobody(2, `socket.bind({ address: "127.0.0.1", port: 81 });`)).toEqual({
      name: "ErrnoError",
      code: "EACCES",
      errno: -13,
      syscall: "bind",
      address: "127.0.0.1",
      port: 81,
    });
  });

  test("bind in a directory without write permission fails with EACCES", async () => {
    using place = new Place("AF_UNIX path");
    mkdirSync(place.path("closed"));
    chmodSync(place.path("."), 0o755);
    chmodSync(place.path("closed"), 0o555);
    const path = `${place.path("closed")}/socket`;
    expect(await asNobody(1, `socket.bind(${JSON.stringify({ path })});`)).toMatchObject({
      code: "EACCES",
      syscall: "bind",
      address: path,
    });
  });

  test("connect to a socket file without write permission fails with EACCES", async () => {
    using place = new Place("AF_UNIX path");
    using listener = new Socket(AF_UNIX, SOCK_STREAM);
    const path = place.path("socket");
    listener.bind({ path });
    listener.listen();
    chmodSync(place.path("."), 0o755);
    chmodSync(path, 0o444);
    expect(await asNobody(1, `socket.connect(${JSON.stringify({ path })});`)).toMatchObject({
      code: "EACCES",
      syscall: "connect",
      address: path,
    });
  });

  test("a privileged option fails with EPERM", async () => {
    const SO_MARK = 36;
    const error = await asNobody(2, `socket.setsockopt(1, ${SO_MARK}, 1);`);
    expect(error).toMatchObject({ code: "EPERM", errno: -1, syscall: "setsockopt" });
  });

  test("a raw socket fails with EPERM", async () => {
    const error = await asNobody(2, `new Socket(2, 3 /* SOCK_RAW */, 1 /* IPPROTO_ICMP */);`);
    expect(error).toMatchObject({ code: "EPERM", errno: -1, syscall: "socket" });
  });
});

test.if(isRoot)("the same calls succeed as root", () => {
  using socket = new Socket();
  expect(() => socket.setsockopt(1, 36 /* SO_MARK */, 1)).not.toThrow();
});
