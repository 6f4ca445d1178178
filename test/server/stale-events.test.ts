// Stale events: for an fd that another connection has already reused, for full event lists, and each event twice.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "../../src/kernel/constants.ts";
import { formatMask } from "../../src/kernel/format-mask.ts";
import { EventFd, SHUT_WR, type Socket } from "../../src/index.ts";
import { modeNames, modes } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, ServerHarness, sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

type Triple = [mask: number, fd: number, token: number];
const LISTENER = 0;
const ENOENT = -2;

function triples(out: Int32Array, n: number): Triple[] {
  return Array.from({ length: n }, (_, i) => [...out.subarray(3 * i, 3 * i + 3)] as Triple);
}

/** Returns how many responses have been received. */
function countResponses(client: Socket): number {
  return (
    Buffer.from(client.recv(10_000) ?? [])
      .toString()
      .match(/HTTP\/1.1 200/g)?.length ?? 0
  );
}

test("timeouts do not expire after a full event list, because late input may be among the remaining events", () =>
  leavesNoFd(() => {
    let isFull = false;
    let stale = 0;
    const sys = sysWith((host) => ({
      epoll_wait(epfd, out, max, timeoutMs) {
        if (!isFull) return host.epoll_wait(epfd, out, max, timeoutMs);
        for (let i = 0; i < max; i++) out.set([EPOLLIN, 1_000_000 + i, 0xffffffff], 3 * i); // no such connections
        return max;
      },
      epoll_ctl(epfd, op, fd, mask, token) {
        if (fd < 1_000_000) return host.epoll_ctl(epfd, op, fd, mask, token);
        stale++;
        return ENOENT;
      },
    }));
    using harness = new ServerHarness({ headerTimeoutMs: 1000 }, sys);
    const client = harness.client(GET.slice(0, 20));
    harness.settle();
    client.send(GET.slice(20));
    harness.clock.ms += 1000;
    isFull = true;
    expect(harness.server.tick(0)).toBe(stale);
    expect(stale).toBeGreaterThan(1000);
    isFull = false;
    expect(harness.receive(client, complete)).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(harness.server.stats).toMatchObject({ timeouts: 0, requests: 1 });
  }));

for (const mode of modeNames) {
  for (const mask of [EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR | EPOLLHUP]) {
    test(`ignores ${formatMask(mask)} of a connection whose fd was reused in the same iteration, ${mode}`, () =>
      leavesNoFd(() => {
        let last: Triple | undefined; // of the old connection
        let isArmed = false;
        const accepted: number[] = [];
        const sys = sysWith((host) => ({
          accept4(...args) {
            const fd = host.accept4(...args);
            if (fd >= 0) accepted.push(fd);
            return fd;
          },
          epoll_wait(epfd, out, max, timeoutMs) {
            const n = host.epoll_wait(epfd, out, max, timeoutMs);
            const events = triples(out, Math.max(0, n));
            const own = events.find(([, , token]) => token !== LISTENER);
            last ??= own;
            if (!isArmed || events.length !== 2 || last === undefined) return n;
            // First the end of the old connection, then the listener, then the old connection again.
            isArmed = false;
            events.sort(([, , a], [, , b]) => b - a);
            out.set([...events, [mask, last[1], last[2]]].flat());
            return 3;
          },
        }));
        using harness = new ServerHarness({ ...modes[mode], deferAccept: false }, sys);
        const old = harness.client();
        harness.settle();
        const young = harness.client(); // in the backlog, while the end of the old connection is not yet read
        old.shutdown(SHUT_WR); // not close, which would free this process's own fd
        isArmed = true;
        harness.server.tick(1000);
        expect({ isArmed, accepted: accepted.length, isSame: accepted[0] === accepted[1] }).toEqual({
          isArmed: false,
          accepted: 2,
          isSame: true,
        });
        expect(harness.server.stats).toMatchObject({ open: 1, errors: 0 });
        young.send(GET);
        expect(harness.receive(young, complete)).toContain("200 OK");
        expect(harness.server.stats).toMatchObject({ accepted: 2, requests: 1, errors: 0 });
      }));
  }

  test(`with every event reported twice, sends one response for each request and closes nothing wrongly, ${mode}`, () =>
    leavesNoFd(() => {
      const sys = sysWith((host) => ({
        epoll_wait(epfd, out, max, timeoutMs) {
          const n = host.epoll_wait(epfd, out, max, timeoutMs);
          if (n <= 0 || 2 * n > max) return n;
          const events = triples(out, n);
          out.set(events.concat(events).flat());
          return 2 * n;
        },
      }));
      using harness = new ServerHarness(modes[mode], sys);
      for (let round = 0; round < 5; round++) {
        const clients = Array.from({ length: 10 }, () => harness.client(GET));
        harness.settle();
        for (const client of clients) expect(countResponses(client)).toBe(1);
        for (const [i, client] of clients.entries()) {
          if (i % 2 === 0 && modes[mode].keepAlive) {
            client.send(GET);
            harness.settle();
            expect(countResponses(client)).toBe(1);
          }
          client.close();
        }
      }
      harness.settle();
      const requests = modes[mode].keepAlive ? 75 : 50;
      expect(harness.server.stats).toMatchObject({ accepted: 50, requests, open: 0, errors: 0 });
    }));
}

test("an event for a listening socket that arrives after it was closed accepts nothing", () =>
  leavesNoFd(() => {
    let listener = -1;
    let isStale = false;
    const accepted: number[] = [];
    const warnings: string[] = [];
    const sys = sysWith((host) => ({
      listen(fd, backlog) {
        listener = fd;
        return host.listen(fd, backlog);
      },
      accept4(fd, peer, flags) {
        if (isStale) accepted.push(fd);
        return host.accept4(fd, peer, flags);
      },
      epoll_wait(epfd, out, max, timeoutMs) {
        if (!isStale) return host.epoll_wait(epfd, out, max, timeoutMs);
        out.set([EPOLLIN, listener, LISTENER]); // the bridge thread had received it
        return 1;
      },
    }));
    using harness = new ServerHarness({ onWarning: ({ message }) => warnings.push(message) }, sys);
    const client = harness.client(GET.slice(0, 20)); // keeps the server from closing
    harness.settle();
    void harness.server.stop();
    harness.server.tick(0); // closes the listening socket
    isStale = true;
    harness.server.tick(0);
    isStale = false;
    expect([accepted, warnings]).toEqual([[], []]);
    client.send(GET.slice(20));
    expect(harness.receive(client, complete)).toStartWith("HTTP/1.1 200 OK\r\n");
  }));

test("a stale event of a connection does not end the watch of an fd that has its number now", () =>
  leavesNoFd(() => {
    let isStale = false;
    let fd = -1;
    const sys = sysWith((host) => ({
      epoll_wait(epfd, out, max, timeoutMs) {
        if (!isStale) return host.epoll_wait(epfd, out, max, timeoutMs);
        out.set([EPOLLIN, fd, 12_345]); // the token of a connection that is closed
        return 1;
      },
    }));
    using harness = new ServerHarness({}, sys);
    using event = new EventFd();
    fd = event.fileno();
    let calls = 0;
    const end = harness.server.onReadable(event, () => void calls++);
    isStale = true;
    harness.server.tick(0);
    isStale = false;
    event.write(1n);
    harness.server.tick(0);
    expect(calls).toBe(1);
    end();
  }));
