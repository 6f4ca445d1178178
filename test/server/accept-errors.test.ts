// Errors of accept4: none of them ends the server or makes it spin, each gives one warning, and accepting resumes.

import { expect, setDefaultTimeout, test } from "bun:test";
import { constants } from "node:os";
import { join } from "node:path";
import { F_DUPFD_CLOEXEC, SHUT_RDWR } from "../../src/kernel/constants.ts";
import { EAGAIN, EBADF, EINVAL, EMFILE, EPERM, errnoName } from "../../src/kernel/errno.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { type Address, type EpollServerOptions, type ServerWarning, Socket } from "../../src/index.ts";
import { Client, modes } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, ServerHarness, sysWith } from "../support/server.ts";
import { canTrace } from "../support/strace.ts";

setDefaultTimeout(60_000);

const errnos = [...new Set([...Object.values(constants.errno), 94, 109, 112, 524])]
  .filter((errno) => errno !== EAGAIN)
  .sort((a, b) => a - b);

function listening(): Socket {
  const socket = new Socket();
  socket.bind({ address: "127.0.0.1", port: 0 });
  socket.listen();
  return socket;
}

const HELLO = "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

const duplicate = (socket: Socket): number => syscalls().fcntl(socket.fileno(), F_DUPFD_CLOEXEC, 0);

/** A server whose accept4 can fail, and its warnings. */
function failing(options: EpollServerOptions = {}) {
  const state = { errno: 0, calls: 0, warnings: [] as ServerWarning[], fd: -1 };
  const sys = sysWith((host) => ({
    accept4(fd, ...rest) {
      state.calls++;
      const fails = state.errno !== 0 && (state.fd < 0 || state.fd === fd);
      return fails ? -state.errno : host.accept4(fd, ...rest);
    },
  }));
  const harness = new ServerHarness({ onWarning: (warning) => state.warnings.push(warning), ...options }, sys);
  return { state, harness };
}

for (const mode of ["classic, keepAlive", "eager"] as const) {
  for (const exclusive of [false, true]) {
    test(`every errno: warns once, does not spin, serves open connections, and resumes; ${mode}, exclusive: ${exclusive}`, () =>
      leavesNoFd(() => {
        for (const errno of errnos) {
          const socket = listening();
          const { state, harness } = failing({ ...modes[mode], fd: duplicate(socket), exclusive });
          socket.close();
          using _ = harness;
          const early = harness.client(GET);
          harness.receive(early, complete);
          harness.settle();
          for (let round = 1; round <= 2; round++) {
            state.errno = errno;
            state.calls = 0;
            const late = harness.client(GET);
            for (let i = 0; i < 50; i++) harness.server.tick(0);
            for (let i = 0; i < 5; i++) {
              harness.clock.ms += 1000;
              harness.server.tick(0);
              harness.server.tick(0);
            }
            expect(state.calls).toBeLessThanOrEqual(7 * 64);
            expect(state.warnings.map(({ code }) => code)).toEqual(
              Array.from({ length: round }, () => errnoName(errno)),
            );
            early.send(GET);
            harness.receive(early, complete);
            state.errno = 0;
            harness.clock.ms += 1000;
            harness.receive(late, complete);
            harness.settle();
          }
        }
      }));
  }
}

test("the warnings say what has failed, where, and what it means", () => {
  const message = (errno: number): string => {
    const { state, harness } = failing();
    using _ = harness;
    state.errno = errno;
    harness.client(GET);
    for (let i = 0; i < 50; i++) harness.server.tick(0);
    return state.warnings.map((warning) => warning.message.replace(String(harness.server.port), "PORT")).join("\n");
  };
  expect([5, EBADF, EINVAL, EPERM, EMFILE, 105].map(message)).toEqual([
    "EIO: i/o error, accept4: no connection can be accepted on 127.0.0.1:PORT. The server tries again every 1000 ms",
    "EBADF: bad file descriptor, accept4: no connection can be accepted on 127.0.0.1:PORT (other code has closed the listening " +
      "socket). The server tries again every 1000 ms",
    "EINVAL: invalid argument, accept4: no connection can be accepted on 127.0.0.1:PORT (the socket does not listen anymore; " +
      "shutdown(2) was called on it, possibly in another process). The server tries again every 1000 ms",
    "EPERM: operation not permitted, accept4: no connection can be accepted on 127.0.0.1:PORT (a firewall or a security module " +
      "denies it). The server tries again every 100 ms",
    "EMFILE: too many open files: accepting is paused at 0 open connections until one closes, and tried again every 100 ms. " +
      "Raise the limit with ulimit -n, or set maxConnections below it",
    "ENOBUFS: no buffer space available: accepting is paused at 0 open connections until one closes, and tried again every " +
      "100 ms. Lower maxConnections, or give the system more memory",
  ]);
});

test("a listener that fails does not affect the others", () =>
  leavesNoFd(() => {
    const [broken, healthy] = [listening(), listening()];
    const fd = duplicate(broken);
    const { state, harness } = failing({ fd: [fd, duplicate(healthy)] });
    using _ = harness;
    state.errno = EINVAL;
    state.fd = fd;
    const connect = (to: Socket): Socket => {
      const client = new Socket();
      client.connect(to.getsockname());
      client.send(GET);
      return client;
    };
    const waiting = connect(broken);
    for (let i = 0; i < 20; i++) {
      using client = connect(healthy); // without a second passing
      harness.receive(client, complete);
    }
    expect(state.warnings).toHaveLength(1);
    state.errno = 0;
    harness.clock.ms += 1000;
    harness.receive(waiting, complete);
    for (const socket of [broken, healthy, waiting]) socket.close();
  }));

for (const maxConnections of [1, 10]) {
  test(`a listener that was shut down, which epoll reports indefinitely, does not spin, and may listen again; maxConnections: ${maxConnections}`, () =>
    leavesNoFd(() => {
      const socket = listening();
      const { state, harness } = failing({ fd: duplicate(socket), maxConnections });
      using _ = harness;
      const open = harness.client(GET);
      harness.receive(open, complete);
      socket.shutdown(SHUT_RDWR);
      let events = 0;
      for (let i = 0; i < 1000; i++) events += harness.server.tick(0);
      expect(events).toBeLessThanOrEqual(2);
      open.send(GET);
      harness.receive(open, complete);
      socket.listen();
      if (maxConnections === 1) open.close();
      harness.settle();
      harness.clock.ms += 1000;
      using client = new Socket();
      client.connect(socket.getsockname()); // shutdown(2) has released the port, because it was not chosen by bind(2)
      client.send(GET);
      harness.receive(client, complete);
      expect(state.warnings.map(({ code }) => code)).toEqual(maxConnections === 1 ? [] : ["EINVAL"]);
      socket.close();
    }));
}

test("a listener for which accept4 never finds a connection does not spin, and is tried again", () =>
  leavesNoFd(() => {
    const { state, harness } = failing();
    using _ = harness;
    state.errno = EAGAIN;
    const client = harness.client(GET);
    for (let i = 0; i < 5000; i++) harness.server.tick(0);
    expect(state.calls).toBeLessThanOrEqual(100);
    harness.clock.ms += 100;
    for (let i = 0; i < 5000; i++) harness.server.tick(0);
    expect(state.calls).toBeGreaterThan(100);
    expect(state.calls).toBeLessThanOrEqual(200);
    state.errno = 0;
    harness.clock.ms += 100;
    harness.receive(client, complete);
    expect(state.warnings).toEqual([]);
  }));

test("losing connections to another process does not pause accepting, if the backlog is empty in between", () =>
  leavesNoFd(() => {
    let loses = true;
    const sys = sysWith((host) => ({
      accept4(...args) {
        const fd = host.accept4(...args);
        if (!loses || fd < 0) return fd;
        host.close(fd); // as if another process had accepted it
        return -EAGAIN;
      },
    }));
    using harness = new ServerHarness({}, sys);
    for (let i = 0; i < 150; i++) {
      using _ = harness.client(GET);
      expect(harness.server.tick(1000)).toBe(1);
      expect(harness.server.tick(0)).toBe(0);
    }
    loses = false;
    harness.receive(harness.client(GET), complete); // without time passing
  }));

test("resuming does not end the server if the listener cannot be registered", () =>
  leavesNoFd(() => {
    let isFull = false;
    const warnings: string[] = [];
    const sys = sysWith((host) => ({
      epoll_ctl: (epfd, op, fd, mask, token) =>
        isFull && op === 1 && token === 0 ? -28 : host.epoll_ctl(epfd, op, fd, mask, token), // ENOSPC
    }));
    using harness = new ServerHarness({ maxConnections: 1, onWarning: ({ code }) => warnings.push(code) }, sys);
    const first = harness.client(GET);
    harness.receive(first, complete);
    const second = harness.client(GET);
    harness.settle();
    isFull = true;
    first.close();
    for (let i = 0; i < 10; i++) {
      harness.clock.ms += 100;
      harness.settle();
    }
    expect(warnings).toEqual(["ENOSPC"]);
    isFull = false;
    harness.clock.ms += 100;
    harness.receive(second, complete);
  }));

test("a burst of connections is accepted in parts, and open connections get their turn in between", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness();
    const open = harness.client(GET);
    harness.receive(open, complete);
    harness.settle();
    const clients = Array.from({ length: 200 }, () => harness.client(GET));
    open.send(GET);
    harness.server.tick(1000);
    expect(harness.server.stats.accepted).toBe(1 + 64);
    expect(String(Buffer.from(open.recv(1000) ?? []))).toMatch(complete); // in the same iteration
    for (const client of clients) harness.receive(client, complete);
  }));

// The same in another process, where strace injects the errors.
const program = join(import.meta.dir, "../support/fetch-server-process.ts");

for (const method of ["run", "start"]) {
  test.skipIf(!canTrace)(`errors that the kernel returns do not end ${method}()`, async () => {
    const argument = JSON.stringify({ blocks: method === "run", options: { hostname: "127.0.0.1" } });
    const codes = ["EIO", "ENOSR", "ESOCKTNOSUPPORT", "EACCES", "EBADF", "EINVAL", "ENOTSOCK", "EFAULT"];
    const children = codes.map((code) => {
      const inject = ["-e", "trace=accept4", "-e", `inject=accept4:error=${code}:when=1..2`];
      return Bun.spawn(["strace", "-f", "-qq", "--seccomp-bpf", ...inject, process.execPath, program, argument], {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
    });
    try {
      const clients: Client[] = [];
      for (const child of children) {
        const { value } = await child.stdout.getReader().read();
        const { serving } = JSON.parse(new TextDecoder().decode(value)) as { serving: Address };
        clients.push(new Client(serving, HELLO), new Client(serving, HELLO));
      }
      for (const client of clients) {
        expect(client.readResponse().body).toBe("hello");
        client.close();
      }
    } finally {
      for (const child of children) child.kill("SIGKILL");
    }
    for (const child of children) expect((await child.stderr.text()).split("(INJECTED)")).toHaveLength(3); // two errors
  });
}
