// The option `fd`: sockets that are already listening are adopted, or rejected and left unchanged.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AF_INET6,
  AF_UNIX,
  EpollServer,
  type InternetAddress,
  IPPROTO_TCP,
  SOCK_DGRAM,
  Socket,
  TCP_DEFER_ACCEPT,
} from "../../src/index.ts";
import { ask } from "../support/client.ts";
import { leavesNoFd, openFds } from "../support/fds.ts";
import { cli, endAfterTest, endPrograms, start } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

function listening(family?: number, address = "127.0.0.1"): Socket {
  const socket = new Socket(family);
  socket.bind({ address, port: 0 });
  socket.listen();
  return socket;
}

test("serves on one or several sockets, and closes them when it stops", () =>
  leavesNoFd(async () => {
    const [one, two] = [listening(), listening()];
    const addresses = [one, two].map((socket) => socket.getsockname() as InternetAddress);
    const server = new EpollServer({ fd: [one.detach(), two.detach()], reusePort: undefined });
    expect(server.addresses).toEqual(addresses);
    expect([server.port, server.url]).toEqual([addresses[0]?.port, `http://127.0.0.1:${addresses[0]?.port}`]);
    await server.start();
    for (const port of addresses.map((address) => address.port)) {
      const response = await fetch(`http://127.0.0.1:${port}`, { headers: { Connection: "close" } });
      expect(await response.text()).toBe("Hello from Epoll server!");
    }
    await server.stop();
  }));

test("has a URL that clients can connect to: IPv6 addresses in brackets, localhost for a wildcard", () =>
  leavesNoFd(async () => {
    for (const [family, address, host] of [
      [AF_INET6, "::1", "[::1]"],
      [undefined, "0.0.0.0", "localhost"],
      [AF_INET6, "::", "localhost"],
    ] as const) {
      const server = new EpollServer({ fd: listening(family, address).detach() });
      expect(server.url).toBe(`http://${host}:${server.port}`);
      await server.stop();
    }
  }));

test("leaves the file of a unix socket in place", () =>
  leavesNoFd(async () => {
    const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
    const path = join(folder, "socket");
    const socket = new Socket(AF_UNIX);
    socket.bind({ path });
    socket.listen();
    const server = new EpollServer({ fd: socket.detach() });
    expect(server.url).toBe(`unix:${path}`);
    await server.stop();
    expect(existsSync(path)).toBe(true);
    rmSync(folder, { recursive: true });
  }));

test("rejects an fd that is not a listening socket, and leaves it open", () =>
  leavesNoFd(() => {
    const [good, silent, datagram] = [listening(), new Socket(), new Socket(undefined, SOCK_DGRAM)];
    const file = openSync(import.meta.path, "r");
    const before = [...openFds()];
    expect(() => new EpollServer({ fd: [good.fileno(), silent.fileno()] })).toThrow(
      `fd ${silent.fileno()} is not a listening stream socket: call bind and listen`,
    );
    expect(() => new EpollServer({ fd: datagram.fileno() })).toThrow("is not a listening stream socket");
    expect(() => new EpollServer({ fd: file })).toThrow("ENOTSOCK");
    expect(() => new EpollServer({ fd: 9999 })).toThrow("EBADF");
    expect(() => new EpollServer({ fd: [] })).toThrow("fd is an empty array");
    expect(() => new EpollServer({ fd: [3, 3] })).toThrow("fd contains 3 twice");
    expect(() => new EpollServer({ fd: good.fileno(), port: 1 })).toThrow(
      'options "fd" and "port" cannot be used together',
    );
    expect(() => new EpollServer({ fd: -1 })).toThrow(RangeError);
    expect([...openFds()]).toEqual(before);
    closeSync(file);
    for (const socket of [good, silent, datagram]) socket.close();
  }));

test("a listener is passed from one process to the next without refusing a client", async () => {
  const listener = listening();
  // Otherwise the first process may accept a connection, and stop before its request arrives.
  listener.setsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
  const address = listener.getsockname() as InternetAddress;
  const [first, second] = [1, 2].map(() =>
    endAfterTest(
      Bun.spawn([process.execPath, cli, "--fd", "3"], { stdio: ["ignore", "pipe", "inherit", listener.fileno()] }),
    ),
  ) as [Bun.Subprocess<"ignore", "pipe">, Bun.Subprocess<"ignore", "pipe">];
  listener.close();
  for (const { stdout } of [first, second]) {
    const reader = stdout.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toContain(
      `listening on http://127.0.0.1:${address.port}`,
    );
    reader.releaseLock();
  }
  for (let i = 0; i < 40; i++) {
    if (i === 10) first.kill("SIGTERM");
    expect(ask(address, GET).body).toBe("Hello from Epoll server!");
  }
  expect(await first.exited).toBe(0);
  expect(ask(address, GET).body).toBe("Hello from Epoll server!");
  second.kill("SIGTERM");
  expect(await second.exited).toBe(0);
});

test("--fd and --systemd: exit code 1 if the socket is missing, 2 if the command line is wrong", async () => {
  for (const [flags, message, code] of [
    [["--fd", "77"], "file descriptor 77 is not an inherited socket (EBADF)", 1],
    [["--fd", "x"], "--fd must be an integer", 2],
    [["--fd", "3", "--port", "1"], "--fd cannot be used with --port", 2],
    [["--fd", "3", "--unix", "/x"], "--unix cannot be used with --fd", 2],
    [["--systemd", "--backlog", "1"], "--systemd cannot be used with --backlog", 2],
    [["--systemd"], "--systemd: no sockets were passed to this process", 1],
  ] as const) {
    const program = start(["bun", cli, ...flags]);
    expect([flags, await program.exited]).toEqual([flags, code]);
    expect(program.stderr).toContain(message);
  }
});
