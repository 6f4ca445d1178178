// Responses with files: what is opened, and that the loop never waits for one.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EAGAIN, EINVAL, ENOSYS, EOPNOTSUPP, EPERM } from "../../src/kernel/errno.ts";
import type { Syscalls } from "../../src/kernel/ffi.ts";
import { EpollServer, O_NONBLOCK, Socket, AF_UNIX } from "../../src/index.ts";
import { eventuallyLeavesNoFd, leavesNoFd } from "../support/fds.ts";
import { FetchHarness, parseResponses, type ReceivedResponse } from "../support/fetch-harness.ts";
import { sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const O_PATH = 0x200000;
const RWF_NOWAIT = 8;

const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
const path = (name: string): string => join(directory, name);
const large = Buffer.alloc(1_000_000, "0123456789abcdef!");
let listener: Socket;
beforeAll(() => {
  Bun.spawnSync(["mkfifo", path("fifo")]);
  mkdirSync(path("folder"));
  listener = new Socket(AF_UNIX);
  listener.bind({ path: path("socket") });
  listener.listen();
  writeFileSync(path("small"), "0123456789");
  writeFileSync(path("large"), large);
  writeFileSync(path("empty"), "");
});
afterAll(() => {
  listener.close();
  rmSync(directory, { recursive: true });
});

interface Call {
  name: "open" | "openat2" | "preadv2";
  flags: number;
}

/** Records the calls that could wait for a disk, and optionally fails those that must not wait. */
function recorded(calls: Call[], lookupErrno = 0, readErrno = 0): Syscalls {
  return sysWith((host) => ({
    open(name, flags) {
      calls.push({ name: "open", flags });
      return host.open(name, flags);
    },
    openat2(name, flags, resolve) {
      calls.push({ name: "openat2", flags });
      return lookupErrno === 0 ? host.openat2(name, flags, resolve) : -lookupErrno;
    },
    preadv2(fd, bytes, length, low, high, flags) {
      calls.push({ name: "preadv2", flags });
      return readErrno !== 0 && flags === RWF_NOWAIT ? -readErrno : host.preadv2(fd, bytes, length, low, high, flags);
    },
  }));
}

/** Requests a file from a server that runs on Bun's event loop. */
async function askStarted(
  make: () => Response,
  sys?: Syscalls,
  onError?: (error: unknown) => void,
): Promise<ReceivedResponse> {
  const server = new EpollServer({ hostname: "127.0.0.1", fetch: make, ...(onError && { onError }) }, sys);
  await server.start();
  try {
    const socket = await received(server.port as number);
    return parseResponses(socket)[0] as ReceivedResponse;
  } finally {
    await server.stop();
  }
}

async function received(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(GET),
      data: (_, bytes) => void (text += bytes.toString("latin1")),
      close: (_, error) => (error ? reject(error) : resolve(text)),
    },
  });
  return await promise;
}

const kinds = { fifo: "a FIFO", folder: "a directory", socket: "a socket" };

describe("does not open anything but a regular file, and continues to serve", () => {
  for (const [name, type] of Object.entries({ ...kinds, "/dev/zero": "a character device" })) {
    test(type, () =>
      leavesNoFd(async () => {
        const calls: Call[] = [];
        const errors: Error[] = [];
        const file = name.startsWith("/") ? name : path(name);
        let isFile = true;
        using harness = new FetchHarness(
          () => new Response(isFile ? Bun.file(file) : "next"),
          { onError: (error) => void errors.push(error as Error) },
          recorded(calls),
        );
        expect((await harness.ask("GET / HTTP/1.1")).status).toBe(500);
        expect(errors.map(String)).toEqual([expect.stringContaining(`${file} is not a regular file but ${type}`)]);
        expect(calls.filter(({ flags }) => (flags & O_PATH) === 0)).toEqual([]);
        isFile = false;
        expect((await harness.ask("GET / HTTP/1.1")).body).toBe("next");
      }),
    );
  }

  test("a slice of a FIFO", async () => {
    using harness = new FetchHarness(() => new Response(Bun.file(path("fifo")).slice(2, 5)));
    expect((await harness.ask("GET / HTTP/1.1")).status).toBe(500);
  });

  test("a FIFO that replaces a file while it is opened", async () => {
    const calls: Call[] = [];
    const sys = recorded(calls);
    const { openat2 } = sys;
    let isReplaced = false;
    sys.openat2 = (name, flags, resolve) => {
      if ((flags & O_PATH) !== 0) return openat2(name, flags, resolve);
      isReplaced = true;
      return openat2(Buffer.from(`${path("fifo")}\0`), flags, resolve);
    };
    using harness = new FetchHarness(() => new Response(Bun.file(path("small"))), {}, sys);
    expect([(await harness.ask("GET / HTTP/1.1")).status, isReplaced]).toEqual([500, true]);
    expect(calls.every(({ flags }) => (flags & (O_PATH | O_NONBLOCK)) !== 0)).toBe(true);
  });
});

test("reads a small file with one call and closes it, and keeps a large one open", () =>
  leavesNoFd(async () => {
    for (const [name, body, reads] of [
      ["small", "0123456789", 1],
      ["large", large.toString("latin1"), 4],
    ] as const) {
      const calls: Call[] = [];
      using harness = new FetchHarness(() => new Response(Bun.file(path(name))), {}, recorded(calls));
      const response = await harness.ask("GET / HTTP/1.1");
      expect([response.headers["content-length"], response.body === body]).toEqual([String(body.length), true]);
      expect(calls.filter((call) => call.name === "preadv2").map(({ flags }) => flags)).toEqual(
        Array(reads).fill(RWF_NOWAIT),
      );
    }
  }));

describe("if the kernel would have to wait for the disk", () => {
  const failures = {
    "the path is not cached": [EAGAIN, 0],
    "the data is not cached": [0, EAGAIN],
    neither: [EAGAIN, EAGAIN],
    "the file system cannot tell": [EOPNOTSUPP, EOPNOTSUPP],
    "the kernel is older": [ENOSYS, ENOSYS],
    "a sandbox forbids openat2": [EPERM, 0],
    "the kernel does not know the flags": [EINVAL, EINVAL],
  } as const;
  for (const [name, [lookup, read]] of Object.entries(failures)) {
    test(`Bun's thread pool waits under start(): ${name}`, () =>
      leavesNoFd(async () => {
        for (const [file, body] of [
          ["small", "0123456789"],
          ["large", large.toString("latin1")],
          ["empty", ""],
        ] as const) {
          const calls: Call[] = [];
          const response = await askStarted(() => new Response(Bun.file(path(file))), recorded(calls, lookup, read));
          expect([response.status, response.headers["content-length"], response.body === body]).toEqual([
            200,
            String(body.length),
            true,
          ]);
          expect(calls.filter((call) => call.name === "open" || call.flags === 0)).toEqual([]);
        }
        const errors: Error[] = [];
        const report = (error: unknown): void => void errors.push(error as Error);
        for (const file of ["fifo", "folder"]) {
          const { status } = await askStarted(
            () => new Response(Bun.file(path(file))),
            recorded([], lookup, read),
            report,
          );
          expect(status).toBe(500);
        }
        const missing = await askStarted(
          () => new Response(Bun.file(path("none"))),
          recorded([], lookup, read),
          report,
        );
        expect(missing.status).toBe(404);
        expect(errors.map(String)).toEqual([
          expect.stringContaining("a FIFO"),
          expect.stringContaining("a directory"),
          expect.stringContaining("ENOENT"),
        ]);
      }));

    test(`the loop waits under tick(): ${name}`, () =>
      leavesNoFd(async () => {
        for (const [file, body] of [
          ["small", "0123456789"],
          ["large", large.toString("latin1")],
          ["empty", ""],
        ] as const) {
          using harness = new FetchHarness(() => new Response(Bun.file(path(file))), {}, recorded([], lookup, read));
          const response = await harness.ask("GET / HTTP/1.1");
          expect([response.headers["content-length"], response.body === body]).toEqual([String(body.length), true]);
        }
      }));
  }
});

test("the fd of a file stays open while the thread pool reads it", () =>
  eventuallyLeavesNoFd(async () => {
    const server = new EpollServer(
      { hostname: "127.0.0.1", fetch: () => new Response(Bun.file(path("large"))) },
      recorded([], 0, EAGAIN),
    );
    await server.start();
    const gone = Array.from({ length: 20 }, async () => {
      const opened = Promise.withResolvers<void>();
      await Bun.connect({
        hostname: "127.0.0.1",
        port: server.port as number,
        socket: {
          open: (socket) => void socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
          data(socket) {
            socket.terminate();
            opened.resolve();
          },
        },
      });
      await opened.promise;
    });
    await Promise.all(gone);
    expect(parseResponses(await received(server.port as number))[0]?.body).toBe(large.toString("latin1"));
    await server.stop();
  }));

test("a missing file is reported to onError, and is 404 unless that returns a Response", () =>
  leavesNoFd(async () => {
    for (const name of ["none", "small/below-a-file", "n".repeat(300)]) {
      const errors: (Error & { code?: string; path?: string })[] = [];
      let answer: Response | undefined;
      using harness = new FetchHarness(() => new Response(Bun.file(path(name))), {
        onError(error, request) {
          expect(request?.url).toBe("http://a.test/");
          errors.push(error as Error);
          return answer;
        },
      });
      const { status, body } = await harness.ask("GET / HTTP/1.1");
      expect([status, body]).toEqual([404, "There is no file for this request.\n"]);
      const head = await harness.rest(harness.client(GET.replace("GET", "HEAD").replace("Host: a", "Host: a.test")));
      expect(parseResponses(head, true)[0]?.status).toBe(404);
      answer = new Response("gone", { status: 410 });
      expect((await harness.ask("GET / HTTP/1.1")).status).toBe(410);
      expect(
        errors.filter(({ code = "", path: at }) => /^(ENOENT|ENOTDIR|ENAMETOOLONG)$/.test(code) && at === path(name)),
      ).toHaveLength(3);
    }
    using harness = new FetchHarness(() => {
      throw Object.assign(new Error("ENOENT: the application's own"), { code: "ENOENT" });
    });
    expect((await harness.ask("GET / HTTP/1.1")).status).toBe(500);
  }));

test("the error of a missing file has Node's message", async () => {
  let message = "";
  using harness = new FetchHarness(() => new Response(Bun.file(path("none"))), {
    onError: (error) => void (message = (error as Error).message),
  });
  await harness.ask("GET / HTTP/1.1");
  expect(message).toBe(`ENOENT: no such file or directory, open '${path("none")}'`);
});

test("sends the file that is there now, not the one that Bun.file was made for", () =>
  leavesNoFd(async () => {
    writeFileSync(path("log"), "12345");
    const file = Bun.file(path("log"));
    using harness = new FetchHarness(() => new Response(file));
    const body = async (): Promise<string> => (await harness.ask("GET / HTTP/1.1")).body;
    expect(await body()).toBe("12345");
    appendFileSync(path("log"), "67890");
    expect(await body()).toBe("1234567890");
    writeFileSync(path("other"), "a longer file than the first one");
    renameSync(path("other"), path("log"));
    expect(await body()).toBe("a longer file than the first one");
    writeFileSync(path("log"), "short");
    expect(await body()).toBe("short");
    rmSync(path("log"));
    expect((await harness.ask("GET / HTTP/1.1")).status).toBe(404);
  }));

test("sends the rest of a file that was replaced, and resets the connection if it was truncated", () =>
  leavesNoFd(async () => {
    const size = 20_000_000;
    const content = (letter: string): Buffer => Buffer.alloc(size, letter);
    writeFileSync(path("sent"), content("a"));
    const errors: string[] = [];
    using harness = new FetchHarness(() => new Response(Bun.file(path("sent"))), {
      onError: (error) => void errors.push(String(error)),
    });
    const first = harness.client(GET);
    const begin = await harness.text(first, /HTTP/);
    writeFileSync(path("next"), content("b"));
    renameSync(path("next"), path("sent"));
    expect(parseResponses(begin + (await harness.rest(first)))[0]?.body).toBe(content("a").toString());

    first.close();
    const second = harness.client(GET);
    await harness.text(second, /HTTP/);
    truncateSync(path("sent"), 10);
    await harness.until(() => {
      try {
        second.recv(1_000_000);
      } catch {
        // reset
      }
      return harness.server.stats.open === 0;
    });
    expect(errors).toEqual([expect.stringContaining("was truncated while it was being sent")]);
  }));

test("sends a file of /proc, whose size is 0, to its end", () =>
  leavesNoFd(async () => {
    const make = (): Response => new Response(Bun.file("/proc/self/status"));
    using harness = new FetchHarness(make);
    for (const response of [await harness.ask("GET / HTTP/1.1"), await askStarted(make)]) {
      expect([response.headers["content-length"], response.headers["transfer-encoding"]]).toEqual([
        undefined,
        "chunked",
      ]);
      expect(response.body).toMatch(/^Name:\t[^]*\n$/);
    }
    expect((await harness.ask("GET / HTTP/1.0")).body).toMatch(/^Name:\t[^]*\n$/);
  }));

test("opens the path of a file, whatever the application calls it", async () => {
  const file = Bun.file(path("small"));
  (file as { name?: string }).name = path("folder");
  expect((await askStarted(() => new Response(file))).body).toBe("0123456789");
});

test("opens paths with special characters", () =>
  leavesNoFd(async () => {
    for (const name of ['a "quoted" name', "a\nline", "ünï", "%20", "back\\slash"]) {
      writeFileSync(path(name), name);
      using harness = new FetchHarness(() => new Response(Bun.file(path(name))));
      expect(Buffer.from((await harness.ask("GET / HTTP/1.1")).body, "latin1").toString()).toBe(name);
    }
  }));

test("opens no file for a Response that cannot be sent", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(() => new Response(Bun.file(path("large")), { statusText: "a\nb" }));
    expect((await harness.ask("GET / HTTP/1.1")).status).toBe(500);
  }));
