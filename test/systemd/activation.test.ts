// Socket activation and notification: started by systemd, or by a program that behaves like it.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AF_UNIX,
  type InternetAddress,
  listenFds,
  notify,
  SOCK_DGRAM,
  Socket,
  watchdogIntervalMs,
} from "../../src/index.ts";
import { ask } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { cli, endAfterTest, endPrograms, root, run, start } from "../support/programs.ts";
import { eventually as waitFor } from "../support/eventually.ts";
import { eventually, freePort } from "../support/sockets.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const names = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
afterEach(() => {
  for (const name of names) delete process.env[name];
});

/** The notification socket of a service manager. */
function notifySocket(path: string): Socket {
  const socket = new Socket(AF_UNIX, SOCK_DGRAM);
  socket.bind({ path });
  return socket;
}

const receive = (socket: Socket): string => Buffer.from(eventually(socket, () => socket.recv(4096))).toString();

test.skipIf(Bun.which("systemd-socket-activate") === null)(
  "systemd-socket-activate: serves the first client on a port and on a unix socket, with names",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
    const path = join(folder, "socket");
    const port = freePort("127.0.0.1");
    const program = start([
      "systemd-socket-activate",
      `--listen=127.0.0.1:${port}`,
      `--listen=${path}`,
      "--fdname=web:local",
      process.execPath,
      cli,
      "--systemd",
    ]);
    await waitFor(
      () => program.stderr, // where it prints the addresses that it listens on
      (text) => text.includes(path),
    );
    expect(ask({ address: "127.0.0.1", family: "IPv4", port }, GET).body).toBe("Hello from Epoll server!");
    await program.output(/listening on/);
    expect(ask({ path }, GET).body).toBe("Hello from Epoll server!");
    program.kill("SIGTERM"); // it has replaced itself with the server: exec
    expect(await program.exited).toBe(0);
    expect(program.stdout).toContain("served 2 requests on 2 connections");
    rmSync(folder, { recursive: true });
  },
);

test("sends READY when it serves, WATCHDOG as long as the loop is not stuck, and STOPPING when it stops, in that order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  for (const path of [join(folder, "notify"), `\0epoll-hello-${process.pid}`]) {
    using manager = notifySocket(path);
    const listener = new Socket();
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen();
    // LISTEN_PID must be the server's pid: the shell's, which replaces itself with it.
    const command = 'export LISTEN_PID=$$ WATCHDOG_PID=$$; exec "$0" "$@"';
    const child = endAfterTest(
      Bun.spawn(["sh", "-c", command, process.execPath, cli, "--systemd", "--quiet"], {
        env: { ...process.env, LISTEN_FDS: "1", NOTIFY_SOCKET: path.replace("\0", "@"), WATCHDOG_USEC: "40000" },
        stdio: ["ignore", "ignore", "inherit", listener.fileno()],
      }),
    );
    listener.close();
    expect(receive(manager)).toMatch(/^READY=1\nSTATUS=listening on http:\/\/127.0.0.1:\d+$/);
    for (let i = 0; i < 5; i++) expect(receive(manager)).toBe("STATUS=served 0 requests on 0 connections\nWATCHDOG=1");
    child.kill("SIGSTOP"); // the loop is stuck: nothing may be sent
    while (manager.recv(4096) !== null);
    child.kill("SIGCONT");
    expect(receive(manager)).toContain("WATCHDOG=1");
    child.kill("SIGTERM");
    let last = "";
    while (!last.includes("STOPPING")) last = receive(manager);
    expect(last).toBe("STOPPING=1");
    expect(await child.exited).toBe(0);
  }
  rmSync(folder, { recursive: true });
});

test("serves even if nothing receives its notifications, with a warning", async () => {
  const listener = new Socket();
  listener.bind({ address: "127.0.0.1", port: 0 });
  listener.listen();
  const address = listener.getsockname() as InternetAddress;
  const child = endAfterTest(
    Bun.spawn(["sh", "-c", 'export LISTEN_PID=$$; exec "$0" "$@"', process.execPath, cli, "--systemd"], {
      env: { ...process.env, LISTEN_FDS: "1", NOTIFY_SOCKET: "@epoll-hello-no-manager", WATCHDOG_USEC: "40000" },
      stdio: ["ignore", "ignore", "pipe", listener.fileno()],
    }),
  );
  listener.close();
  for (let i = 0; i < 3; i++) expect(ask(address, GET).body).toBe("Hello from Epoll server!");
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect(await new Response(child.stderr).text()).toContain("cannot notify systemd");
});

test("notify sends one message per call, and returns false without a service manager", () =>
  leavesNoFd(() => {
    expect(notify({ ready: true })).toBe(false);
    const path = `\0epoll-hello-notify-${process.pid}`;
    const manager = notifySocket(path);
    process.env["NOTIFY_SOCKET"] = path.replace("\0", "@");
    expect(notify({ ready: true, status: "ein Öl", mainPid: 7 })).toBe(true);
    expect(receive(manager)).toBe("READY=1\nSTATUS=ein Öl\nMAINPID=7");
    notify({ reloading: true });
    expect(receive(manager)).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    notify({ stopping: true, watchdog: true });
    expect(receive(manager)).toBe("STOPPING=1\nWATCHDOG=1");
    expect(() => notify({ status: "two\nREADY=1" })).toThrow("one line");
    manager.close();
    expect(() => notify({ ready: true })).toThrow("ECONNREFUSED");
    process.env["NOTIFY_SOCKET"] = "vsock:2:1";
    expect(() => notify({ ready: true })).toThrow("must be an absolute path or an @abstract name");
  }));

test("listenFds returns none for another process, rejects malformed variables, and removes them", () => {
  expect(listenFds()).toEqual([]);
  Object.assign(process.env, { LISTEN_FDS: "1", LISTEN_PID: String(process.pid + 1) });
  expect(listenFds()).toEqual([]);
  process.env["LISTEN_PID"] = "me";
  expect(() => listenFds()).toThrow('LISTEN_PID must be an integer from 0 to 2147483647; it is "me"');
  Object.assign(process.env, { LISTEN_FDS: "-1", LISTEN_PID: String(process.pid) });
  expect(() => listenFds()).toThrow('LISTEN_FDS must be an integer from 0 to 2147483647; it is "-1"');
  process.env["LISTEN_FDS"] = "999999999999";
  expect(() => listenFds()).toThrow('LISTEN_FDS must be an integer from 0 to 2147483647; it is "999999999999"');
  Object.assign(process.env, { LISTEN_FDS: "2", LISTEN_FDNAMES: "one" });
  expect(() => listenFds()).toThrow("LISTEN_FDNAMES has 1 names, but LISTEN_FDS is 2");
  Object.assign(process.env, { LISTEN_FDS: "0", LISTEN_FDNAMES: "" });
  expect(listenFds()).toEqual([]);
  expect(process.env["LISTEN_FDS"]).toBeUndefined();
});

test("listenFds names the first fd that is not open", async () => {
  const code = `import { listenFds } from ${JSON.stringify(join(root, "src/index.ts"))};
    Object.assign(process.env, { LISTEN_FDS: "99999999", LISTEN_PID: String(process.pid) });
    try { listenFds(); } catch (error) { console.log(error.code, error.fd, error.message); }`;
  const { stdout } = await run(["bun", "-e", code]);
  expect(stdout).toMatch(
    /^EBADF (\d+) EBADF: bad file descriptor, fcntl: LISTEN_FDS is 99999999, but the file descriptor \1 is not open\n$/,
  );
});

test("watchdogIntervalMs returns undefined without a watchdog, or for another process", () => {
  expect(watchdogIntervalMs()).toBeUndefined();
  process.env["WATCHDOG_USEC"] = "1500000";
  expect(watchdogIntervalMs()).toBe(1500);
  process.env["WATCHDOG_PID"] = String(process.pid + 1);
  expect(watchdogIntervalMs()).toBeUndefined();
  process.env["WATCHDOG_PID"] = String(process.pid);
  expect(watchdogIntervalMs()).toBe(1500);
  for (const wrong of ["0", "1s", ""]) {
    process.env["WATCHDOG_USEC"] = wrong;
    expect(() => watchdogIntervalMs()).toThrow("WATCHDOG_USEC");
  }
});
