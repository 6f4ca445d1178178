// The options hostname, port, unix and reusePort: host names, both families, shared ports, paths, and their errors.

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, lstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AF_INET6, EpollServer, ErrnoError, LookupError, Socket } from "../../src/index.ts";
import { ask, Client } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, SENTENCE, ServerHarness } from "../support/server.ts";
import { ServerProcess } from "../support/server-process.ts";
import { errnoError, freePort } from "../support/sockets.ts";

setDefaultTimeout(60_000);

const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let paths = 0;
const newPath = (): string => join(directory, `${paths++}.sock`);
const hasIPv6 = existsSync("/proc/net/if_inet6") && readFileSync("/proc/net/if_inet6", "utf8").includes(" lo\n");

test("a port in use: EADDRINUSE with address and port, and no fd is left open", () =>
  leavesNoFd(async () => {
    await using first = new EpollServer({ hostname: "127.0.0.1" });
    for (const hostname of ["127.0.0.1", "localhost", "0.0.0.0", "::"]) {
      const before = errnoError(() => new EpollServer({ hostname, port: first.port }));
      expect(before).toMatchObject({ code: "EADDRINUSE", port: first.port });
      expect(before.address).toBe(hostname === "localhost" ? "127.0.0.1" : hostname);
      expect(before.message).toContain(`${before.address}:${first.port}`);
    }
  }));

test.skipIf(!hasIPv6)("localhost with the port in use on ::1 only: EADDRINUSE, and 127.0.0.1 is released", () =>
  leavesNoFd(async () => {
    using taken = new Socket(AF_INET6);
    const port = freePort("127.0.0.1", "::1");
    taken.bind({ address: "::1", port });
    taken.listen();
    expect(errnoError(() => new EpollServer({ port }))).toMatchObject({ code: "EADDRINUSE", address: "::1", port });
    await using server = new EpollServer({ hostname: "127.0.0.1", port });
    expect(server.port).toBe(port);
  }),
);

test("an unknown host: LookupError", () =>
  leavesNoFd(() => {
    const make = (): EpollServer => new EpollServer({ hostname: "no-such-host.invalid" });
    expect(make).toThrow(LookupError);
    expect(make).toThrow("no-such-host.invalid");
  }));

test("an address of another machine: EADDRNOTAVAIL", () =>
  leavesNoFd(() => {
    const error = errnoError(() => new EpollServer({ hostname: "192.0.2.1", port: 8800 }));
    expect(error).toMatchObject({ code: "EADDRNOTAVAIL", address: "192.0.2.1", port: 8800 });
  }));

test.skipIf(!hasIPv6)("localhost listens on 127.0.0.1 and ::1, on one port", async () => {
  await using server = await ServerProcess.start({ hostname: "localhost" });
  const { port } = server;
  expect(server.addresses).toEqual([
    { address: "127.0.0.1", port, family: "IPv4" },
    { address: "::1", port, family: "IPv6" },
  ]);
  for (const address of server.addresses) expect(ask(address).status).toBe(200);
  const { stats } = await server.stop();
  expect(stats).toMatchObject({ accepted: 2, requests: 2 });
});

test.skipIf(!hasIPv6)(":: accepts IPv4 connections, and ::1 does not", async () => {
  await using all = await ServerProcess.start({ hostname: "::" });
  for (const address of ["127.0.0.1", "::1"]) {
    const family = address === "::1" ? "IPv6" : "IPv4";
    expect(ask({ address, port: all.port, family }).status).toBe(200);
  }
  await using one = await ServerProcess.start({ hostname: "::1" });
  expect(() => new Client({ address: "127.0.0.1", port: one.port, family: "IPv4" })).toThrow("ECONNREFUSED");
});

test("reusePort: two servers share a port only if both set it", async () => {
  await using first = await ServerProcess.start({ reusePort: true });
  await using second = await ServerProcess.start({ reusePort: true, port: first.port });
  expect(second.port).toBe(first.port);
  for (let i = 0; i < 100; i++) expect(ask(first.address).status).toBe(200);
  expect(errnoError(() => new EpollServer({ hostname: "127.0.0.1", port: first.port })).code).toBe("EADDRINUSE");
  const [one, two] = [(await first.stop()).stats, (await second.stop()).stats];
  expect(one.requests + two.requests).toBe(100);
  expect(Math.min(one.requests, two.requests)).toBeGreaterThan(0); // the kernel distributes connections by the client's port
});

test("deferAccept: accepts a connection with its first bytes or after a second; without it, with reusePort and with socket handlers, immediately", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness();
    const silent = harness.client();
    const asking = harness.client(GET);
    expect(harness.receive(asking, complete)).toContain(SENTENCE);
    expect(harness.server.stats.accepted).toBe(1);
    while (harness.server.stats.accepted < 2) harness.server.tick(-1);
    silent.send(GET);
    expect(harness.receive(silent, complete)).toContain(SENTENCE);
    for (const options of [
      { deferAccept: false },
      { reusePort: true },
      { socket: { data() {} } },
      { keepAlive: false, eager: false },
    ]) {
      using other = new ServerHarness(options);
      other.client();
      other.server.tick(0);
      expect(other.server.stats.accepted).toBe(1);
    }
  }));

test("a port can be reused immediately, even if old connections are in TIME_WAIT", async () => {
  let port = 0;
  for (let i = 0; i < 5; i++) {
    await using server = await ServerProcess.start({ port, keepAlive: false, eager: false });
    ({ port } = server);
    expect(ask(server.address).status).toBe(200); // the server closes first, so TIME_WAIT is on its side
    await server.stop();
  }
});

test("address, addresses, port and url are those of the listening sockets", () =>
  leavesNoFd(async () => {
    await using four = new EpollServer({ hostname: "127.0.0.1" });
    const port = four.port as number;
    expect(port).toBeGreaterThan(0);
    expect(four.address).toEqual({ address: "127.0.0.1", port, family: "IPv4" });
    expect(four.addresses).toEqual([four.address]);
    expect(four.url).toBe(`http://127.0.0.1:${port}`);
    await using both = new EpollServer({});
    expect(both.url).toBe(`http://localhost:${both.port}`);
    const path = newPath();
    await using unix = new EpollServer({ unix: path });
    expect(unix).toMatchObject({ port: undefined, address: { path }, url: `unix:${path}` });
    const special = `${newPath()} a#b?c%20é`;
    await using encoded = new EpollServer({ unix: special });
    const { protocol, pathname, search, hash } = new URL(encoded.url);
    expect([protocol, decodeURIComponent(pathname), search, hash]).toEqual(["unix:", special, "", ""]);
    await using abstract = new EpollServer({ unix: `\0epoll-hello-${process.pid}` });
    expect(abstract.url).toBe(`unix:@epoll-hello-${process.pid}`);
  }));

test.skipIf(!hasIPv6)("the URL has an IPv6 address in brackets", () =>
  leavesNoFd(async () => {
    await using six = new EpollServer({ hostname: "::1" });
    expect(six.url).toBe(`http://[::1]:${six.port}`);
  }),
);

test("removes the file of a unix socket when it stops", () =>
  leavesNoFd(async () => {
    const path = newPath();
    {
      await using _ = new EpollServer({ unix: path });
      expect(lstatSync(path).isSocket()).toBe(true);
    }
    expect(existsSync(path)).toBe(false);
  }));

test("removes the file of a unix socket when a signal stops it", async () => {
  const path = newPath();
  await using server = await ServerProcess.start({ unix: path });
  expect(ask(server.address).status).toBe(200);
  await server.stop("SIGINT");
  expect(existsSync(path)).toBe(false);
});

test("replaces the socket file that a killed server left behind", () =>
  leavesNoFd(async () => {
    const path = newPath();
    const killed = await ServerProcess.start({ unix: path });
    await killed[Symbol.asyncDispose]();
    expect(lstatSync(path).isSocket()).toBe(true);
    await using next = await ServerProcess.start({ unix: path });
    expect(ask(next.address).status).toBe(200);
  }));

test("does not replace a socket file that has a listener", () =>
  leavesNoFd(async () => {
    const path = newPath();
    await using first = await ServerProcess.start({ unix: path });
    expect(errnoError(() => new EpollServer({ unix: path }))).toMatchObject({ code: "EADDRINUSE", address: path });
    expect(ask(first.address).status).toBe(200);
  }));

test("does not replace a file that is not a socket", () =>
  leavesNoFd(() => {
    const path = newPath();
    writeFileSync(path, "precious");
    expect(errnoError(() => new EpollServer({ unix: path })).code).toBe("EADDRINUSE");
    const link = newPath();
    symlinkSync(path, link);
    expect(errnoError(() => new EpollServer({ unix: link })).code).toBe("EADDRINUSE");
    expect(errnoError(() => new EpollServer({ unix: directory })).code).toBe("EADDRINUSE");
    expect(readFileSync(path, "utf8")).toBe("precious");
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
  }));

test("does not remove a file that has replaced its socket file", () =>
  leavesNoFd(async () => {
    const path = newPath();
    const server = new EpollServer({ unix: path });
    rmSync(path);
    writeFileSync(path, "another's");
    await server.stop();
    expect(readFileSync(path, "utf8")).toBe("another's");
  }));

test("an abstract unix socket has no file, and only one server can listen on it", () =>
  leavesNoFd(async () => {
    const unix = `\0epoll-hello-listening-${process.pid}`;
    await using server = await ServerProcess.start({ unix });
    expect(ask(server.address).status).toBe(200);
    const error = errnoError(() => new EpollServer({ unix }));
    expect(error).toBeInstanceOf(ErrnoError);
    expect(error.code).toBe("EADDRINUSE");
  }));

test("a directory that does not exist: ENOENT, with the path", () =>
  leavesNoFd(() => {
    const path = join(directory, "none", "a.sock");
    expect(errnoError(() => new EpollServer({ unix: path }))).toMatchObject({ code: "ENOENT", address: path });
  }));
