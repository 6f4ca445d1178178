// PidFd: a process by a descriptor.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { Epoll, EPOLLIN, PidFd } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { endPrograms, start } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

test("it is readable when the process has ended; a signal goes to that process only", async () => {
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
  expect(() => process.wait()).toThrow("ECHILD"); // Bun has taken it
  process.close();
});

test("a child that is still there has not ended", async () => {
  const program = start(["sleep", "1000"]);
  using process = new PidFd(program.pid);
  expect(process.wait()).toBeNull();
});

test("mistakes are told", () =>
  leavesNoFd(() => {
    expect(() => new PidFd(2 ** 22 + 1)).toThrow(/E(SRCH|INVAL)/);
    expect(() => new PidFd("1" as never)).toThrow(TypeError);
    using self = new PidFd(process.pid);
    expect(() => self.kill("SIGNOT" as never)).toThrow("there is no signal");
    expect(() => self.kill(99)).toThrow("EINVAL");
    expect(() => self.wait()).toThrow("ECHILD");
  }));
