// File descriptors shared with other processes: a Descriptor never blocks on them, and never makes them non-blocking.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AF_UNIX,
  Descriptor,
  Epoll,
  EPOLLIN,
  F_SETFD,
  O_CLOEXEC,
  O_NONBLOCK,
  SOCK_STREAM,
  WOULD_BLOCK,
} from "../../src/index.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { fdFlags, leavesNoFd, openFds } from "../support/fds.ts";

setDefaultTimeout(60_000);

Bun.spawnSync(["true"]); // opens the fds of Bun's loop for it, which stay open
const sys = syscalls();
const program = join(import.meta.dir, "..", "support", "stdin-program.ts");
/** What a shell does after the program: show the flags of its standard input, then read from it. */
const AFTERWARDS = "grep flags /proc/self/fdinfo/0; exec cat";

let child: Bun.Subprocess<"pipe", "pipe", "inherit"> | undefined;
afterEach(async () => {
  child?.kill("SIGKILL");
  await child?.exited;
  child = undefined;
});

/** Runs the program in a shell, and returns what the shell and its `cat` print after it. */
async function runInShell(wrap: (script: string) => string[], end: string): Promise<string> {
  const script = `"${process.execPath}" "${program}" ${end} 2>/dev/null; ${AFTERWARDS}`;
  child = Bun.spawn(wrap(script), {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, SHELL: "/bin/sh", TERM: "dumb" },
  });
  const shell = child;
  let output = "";
  const decoder = new TextDecoder();
  const reader = shell.stdout.getReader();
  const until = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(output)) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`the shell has ended: ${JSON.stringify(output)}`);
      output += decoder.decode(value, { stream: true });
    }
  };
  await until(/empty: true/);
  shell.stdin.write("first line\n");
  await shell.stdin.flush();
  await until(/read: first line[^]*flags:\s*\d+/);
  shell.stdin.write("second line\n");
  await shell.stdin.flush();
  await until(/flags:[^]*second line/); // a cat that cannot wait prints "Resource temporarily unavailable" instead
  return output;
}

const shells: [name: string, wrap: (script: string) => string[]][] = [
  ["a pipe", (script) => ["sh", "-c", `cat | { ${script}; }`]],
  ["a socket", (script) => ["sh", "-c", script]], // Bun's "pipe" is a socket pair
  ["a terminal", (script) => ["script", "--quiet", "--return", "--flush", "--command", script, "/dev/null"]],
];

describe.each(shells)("standard input that is %s", (_, wrap) => {
  test.each(["exit", "close", "detach", "SIGTERM", "SIGKILL"])(
    "stays blocking for the shell's next command after %s",
    async (end) => {
      const output = await runInShell(wrap, end);
      const flags = Number.parseInt(/flags:\s*(\d+)/.exec(output)?.[1] ?? "", 8);
      expect(flags & O_NONBLOCK).toBe(0);
    },
  );
});

test("the shell's input is blocking even while the program reads from it", async () => {
  const shell = Bun.spawn(["sh", "-c", `cat | "${process.execPath}" "${program}" exit`], {
    stdin: "pipe",
    stdout: "pipe",
  });
  const reader = shell.stdout.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toContain("empty: true");
  const reading = openFdsOfChildren(shell.pid).find((pid) => openFds(pid).get(0)?.startsWith("pipe:"));
  expect(flagsOf(reading as number) & O_NONBLOCK).toBe(0);
  shell.stdin.write("end\n");
  await shell.stdin.end();
  expect(await shell.exited).toBe(0);
});

function openFdsOfChildren(pid: number): number[] {
  const { readFileSync } = process.getBuiltinModule("node:fs");
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
}

function flagsOf(pid: number): number {
  const { readFileSync } = process.getBuiltinModule("node:fs");
  const line = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/0`, "utf8"));
  return Number.parseInt(line?.[1] ?? "", 8);
}

/** A blocking pair of fds, as a process inherits them: not close-on-exec. */
const inherited: [name: string, open: () => [reader: number, writer: number]][] = [
  [
    "pipe",
    () => {
      const fds = new Int32Array(2);
      sys.pipe2(fds, 0);
      return [...fds] as [number, number];
    },
  ],
  [
    "socket",
    () => {
      const fds = new Int32Array(2);
      sys.socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
      return [...fds] as [number, number];
    },
  ],
  [
    "FIFO",
    () => {
      const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
      const path = join(folder, "fifo");
      // Bun sometimes closes the socket pairs of a child's output later, and `leavesNoFd` would find them.
      Bun.spawnSync(["mkfifo", path], { stdio: ["ignore", "ignore", "ignore"] });
      const both = openSync(path, constants.O_RDWR); // keeps the other two from waiting for each other
      const fds: [number, number] = [openSync(path, "r"), openSync(path, "w")];
      closeSync(both);
      rmSync(folder, { recursive: true });
      for (const fd of fds) sys.fcntl(fd, F_SETFD, 0);
      return fds;
    },
  ],
];

describe.each(inherited)("an inherited, blocking %s", (name, open) => {
  test("is read and written without blocking, and stays blocking", () =>
    leavesNoFd(() => {
      const fds = open();
      const [reader, writer] = fds.map((fd) => Descriptor.fromfd(fd)) as [Descriptor, Descriptor];
      expect([reader.fileno(), writer.fileno()]).toEqual(fds);
      for (const fd of fds) expect(fdFlags(fd) & (O_NONBLOCK | O_CLOEXEC)).toBe(O_CLOEXEC);
      expect([reader.read(10), reader.readInto(new Uint8Array(4))]).toEqual([null, WOULD_BLOCK]);
      using epoll = new Epoll();
      epoll.register(reader, EPOLLIN);
      expect(epoll.poll(0)).toEqual([]);
      expect(writer.write("hello")).toBe(5);
      expect(epoll.poll(1000)).toEqual([[reader.fileno(), EPOLLIN]]);
      expect(Buffer.from(reader.read(3) ?? []).toString()).toBe("hel");
      expect(Buffer.from(reader.read(30) ?? []).toString()).toBe("lo");
      const chunk = new Uint8Array(65_536);
      let written = 0;
      for (let n; (n = writer.write(chunk)) !== WOULD_BLOCK;) written += n;
      expect(written).toBeGreaterThan(4096);
      let read = 0;
      for (let bytes; (bytes = reader.read(50_000)) !== null;) read += bytes.length;
      expect(read).toBe(written);
      for (const fd of fds) expect(fdFlags(fd) & O_NONBLOCK).toBe(0);
      writer.close();
      expect(reader.read(10)).toEqual(new Uint8Array(0));
      reader.close();
    }));

  test("reports a peer that has gone", () =>
    leavesNoFd(() => {
      const [reader, writer] = open().map((fd) => Descriptor.fromfd(fd)) as [Descriptor, Descriptor];
      reader.close();
      expect(() => writer.write("a")).toThrow("EPIPE: broken pipe, write");
      if (name !== "socket") expect(() => writer.read(1)).toThrow("EBADF: bad file descriptor, read");
      writer.close();
      expect(() => writer.write("a")).toThrow("Descriptor.write: this Descriptor is closed");
    }));
});

test("an inherited file is read to its end", () =>
  leavesNoFd(() => {
    const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
    writeFileSync(join(folder, "file"), "content");
    const fd = openSync(join(folder, "file"), "r");
    sys.fcntl(fd, F_SETFD, 0);
    rmSync(folder, { recursive: true });
    using file = Descriptor.fromfd(fd);
    expect(Buffer.from(file.read(100) ?? []).toString()).toBe("content");
    expect(file.read(100)).toEqual(new Uint8Array(0));
  }));

test("an inherited terminal's master, which cannot be opened a second time, is polled", () =>
  leavesNoFd(() => {
    const fd = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY);
    sys.fcntl(fd, F_SETFD, 0);
    using terminal = Descriptor.fromfd(fd);
    expect(terminal.read(10)).toBeNull();
    expect(terminal.write("abc")).toBe(3);
    expect(fdFlags(fd) & O_NONBLOCK).toBe(0);
  }));

test("a file descriptor that the program has opened becomes non-blocking", () =>
  leavesNoFd(() => {
    const fds = new Int32Array(2);
    sys.pipe2(fds, O_CLOEXEC);
    using reader = Descriptor.fromfd(fds[0] as number);
    using writer = Descriptor.fromfd(fds[1] as number);
    for (const { fileno } of [reader, writer]) expect(fileno).toBeFunction();
    for (const fd of fds) expect(fdFlags(fd) & O_NONBLOCK).toBe(O_NONBLOCK);
    expect(reader.read(1)).toBeNull();
  }));
