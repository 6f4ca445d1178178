// PidFd: waiting for processes, and sending them signals.

import { dlopen, ptr } from "bun:ffi";
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { Epoll, EPOLLIN, PidFd } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { endPrograms, start } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

test("is readable when the process has terminated, and then rejects signals with ESRCH", async () => {
  const program = start(["sleep", "1000"]);
  const process = new PidFd(program.pid);
  using epoll = new Epoll();
  epoll.register(process, EPOLLIN);
  process.kill(0);
  expect(epoll.poll(0)).toEqual([]);
  process.kill("SIGTERM");
  expect((epoll.poll(5000)[0]?.[1] ?? 0) & EPOLLIN).toBe(EPOLLIN);
  expect(await program.exited).toBe(143);
  expect(() => process.kill(0)).toThrow("ESRCH");
  expect(() => process.wait()).toThrow("ECHILD"); // Bun has already waited for it
  process.close();
});

test("wait returns null while the process is running", async () => {
  const program = start(["sleep", "1000"]);
  using process = new PidFd(program.pid);
  expect(process.wait()).toBeNull();
});

test("rejects invalid PIDs and signals, and waiting for a process that is not a child", () =>
  leavesNoFd(() => {
    expect(() => new PidFd(2 ** 22 + 1)).toThrow(/E(SRCH|INVAL)/);
    expect(() => new PidFd("1" as never)).toThrow(TypeError);
    using self = new PidFd(process.pid);
    expect(() => self.kill("SIGNOT" as never)).toThrow(
      'signal must be the name or number of a signal, such as "SIGTERM"; received "SIGNOT"',
    );
    expect(() => self.kill(99)).toThrow("EINVAL");
    expect(() => self.wait()).toThrow("ECHILD");
  }));

test("sends a real-time signal by name, which ends the process", async () => {
  const program = start(["sleep", "1000"]);
  using process = new PidFd(program.pid);
  expect(() => process.kill("SIGRTMIN+99")).toThrow("SIGRTMIN+99 does not exist");
  process.kill("SIGRTMIN+1");
  using epoll = new Epoll();
  epoll.register(process, EPOLLIN);
  expect(epoll.poll(10_000)).toHaveLength(1);
});

/** Starts a program that Bun does not know, so that it does not wait for it. */
function startUnknown(...command: string[]): number {
  const spawn = dlopen("libc.so.6", {
    posix_spawnp: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  });
  const words = command.map((word) => Buffer.from(`${word}\0`));
  const argv = new BigUint64Array([...words.map((word) => BigInt(ptr(word))), 0n]);
  const pid = new Int32Array(new ArrayBuffer(4));
  const environment = new BigUint64Array(new ArrayBuffer(8));
  const path = words[0] as Buffer;
  expect(spawn.symbols.posix_spawnp(ptr(pid), ptr(path), null, null, ptr(argv), ptr(environment))).toBe(0);
  spawn.close();
  return pid[0] as number;
}

function endOf(process: PidFd): ReturnType<PidFd["wait"]> {
  using epoll = new Epoll();
  epoll.register(process, EPOLLIN);
  expect(epoll.poll(30_000)).toHaveLength(1);
  return process.wait();
}

test("wait tells an exit code from a signal", () =>
  leavesNoFd(() => {
    const exits = startUnknown("/bin/sh", "-c", "exit 9");
    using exited = new PidFd(exits);
    expect(endOf(exited)).toEqual({ pid: exits, code: 9, signal: null });
    expect(() => exited.wait()).toThrow("ECHILD");
    const sleeps = startUnknown("/bin/sleep", "1000");
    using killed = new PidFd(sleeps);
    expect(killed.wait()).toBeNull();
    killed.kill("SIGKILL");
    expect(endOf(killed)).toEqual({ pid: sleeps, code: null, signal: "SIGKILL" });
  }));
