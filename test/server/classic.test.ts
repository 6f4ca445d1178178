// The classic loop: the same event lists and system calls as the original program.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from "../../src/kernel/constants.ts";
import { formatMask } from "../../src/kernel/format-mask.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, ServerHarness, sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

const operations = { [EPOLL_CTL_ADD]: "ADD", [EPOLL_CTL_DEL]: "DEL", [EPOLL_CTL_MOD]: "MOD" } as Record<number, string>;

/** A server with a log of its system calls and of the event lists that epoll_wait returned. */
function recorded(options: object): { harness: ServerHarness; calls: string[] } {
  const calls: string[] = [];
  const names = new Map<number, string>();
  const name = (fd: number): string => names.get(fd) ?? "listener";
  const sys = sysWith((host) => ({
    epoll_wait(epfd, out, max, timeoutMs) {
      const n = host.epoll_wait(epfd, out, max, timeoutMs);
      const events = Array.from({ length: Math.max(0, n) }, (_, i) => out.subarray(3 * i, 3 * i + 2));
      calls.push(`[${events.map(([mask = 0, fd = -1]) => `(${name(fd)}, ${formatMask(mask)})`)}]`);
      return n;
    },
    epoll_ctl(epfd, op, fd, events, token) {
      calls.push(`epoll_ctl(${operations[op]}, ${name(fd)}${op === EPOLL_CTL_DEL ? "" : `, ${formatMask(events)}`})`);
      return host.epoll_ctl(epfd, op, fd, events, token);
    },
    accept4(...args) {
      const fd = host.accept4(...args);
      if (fd >= 0) names.set(fd, "connection");
      calls.push(`accept4${fd < 0 ? " EAGAIN" : ""}`);
      return fd;
    },
    recv(...args) {
      const n = host.recv(...args);
      calls.push(n < 0 ? "recv EAGAIN" : `recv ${n}`);
      return n;
    },
    send: (...args) => (calls.push("send"), host.send(...args)),
    shutdown: (fd, how) => (calls.push(`shutdown(${how})`), host.shutdown(fd, how)),
    close(fd) {
      calls.push(`close(${name(fd)})`);
      names.delete(fd);
      return host.close(fd);
    },
  }));
  const harness = new ServerHarness(options, sys);
  calls.length = 0; // those of the constructor
  return { harness, calls };
}

test("classic: the five event lists of the original program, and one system call for each readiness event", () =>
  leavesNoFd(() => {
    const { harness, calls } = recorded({ keepAlive: false, eager: false });
    using _ = harness;
    const iteration = (): string[] => {
      calls.length = 0;
      harness.server.tick(1000);
      return [...calls];
    };
    calls.length = 0;
    harness.server.tick(0);
    expect(calls).toEqual(["[]"]);

    const client = harness.client(GET);
    expect(iteration()).toEqual(["[(listener, EPOLLIN)]", "accept4", "epoll_ctl(ADD, connection, EPOLLIN)"]);
    expect(iteration()).toEqual([
      "[(connection, EPOLLIN)]",
      `recv ${GET.length}`,
      "epoll_ctl(MOD, connection, EPOLLOUT)",
    ]);
    expect(iteration()).toEqual(["[(connection, EPOLLOUT)]", "send", "epoll_ctl(MOD, connection, 0)", "shutdown(2)"]);
    expect(iteration()).toEqual(["[(connection, EPOLLHUP)]", "epoll_ctl(DEL, connection)", "close(connection)"]);
    calls.length = 0;
    harness.server.tick(0);
    expect(calls).toEqual(["[]"]);
    expect(harness.receive(client, complete)).toStartWith("HTTP/1.1 200 OK\r\n");
  }));

test("eager: each request on an open connection takes one recv and one send, and no epoll_ctl", () =>
  leavesNoFd(() => {
    const { harness, calls } = recorded({});
    using _ = harness;
    const client = harness.client(GET);
    harness.server.tick(1000);
    const accepted = ["[(listener, EPOLLIN)]", "accept4", `recv ${GET.length}`, "send"];
    expect(calls).toEqual([...accepted, "epoll_ctl(ADD, connection, EPOLLIN)", "accept4 EAGAIN"]);
    harness.receive(client, complete);
    for (let i = 0; i < 3; i++) {
      calls.length = 0;
      client.send(GET);
      harness.server.tick(1000);
      expect(calls).toEqual(["[(connection, EPOLLIN)]", `recv ${GET.length}`, "send"]);
      harness.receive(client, complete);
    }
  }));

test("eager: the responses to pipelined requests take one send", () =>
  leavesNoFd(() => {
    const { harness, calls } = recorded({});
    using _ = harness;
    const client = harness.client(GET.repeat(16));
    harness.server.tick(1000);
    expect(calls.filter((call) => call === "send")).toHaveLength(1);
    expect(harness.receive(client, /(Hello[^]*){16}$/).match(/Hello/g)).toHaveLength(16);
  }));
