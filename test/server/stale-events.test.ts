// Events that are out of date by their turn: a number that is another connection's already, and each event twice.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "../../src/kernel/constants.ts";
import { formatMask } from "../../src/kernel/format-mask.ts";
import { SHUT_WR, type Socket } from "../../src/index.ts";
import { modeNames, modes } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, Stage, sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

type Triple = [mask: number, fd: number, token: number];
const LISTENER = 0;

function triples(out: Int32Array, n: number): Triple[] {
  return Array.from({ length: n }, (_, i) => [...out.subarray(3 * i, 3 * i + 3)] as Triple);
}

/** How many replies have come. */
function replies(client: Socket): number {
  return (
    Buffer.from(client.recv(10_000) ?? [])
      .toString()
      .match(/HTTP\/1.1 200/g)?.length ?? 0
  );
}

for (const mode of modeNames) {
  for (const mask of [EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR | EPOLLHUP]) {
    test(`${formatMask(mask)} of a connection whose number was taken again in the iteration, ${mode}`, () =>
      leavesNoFd(() => {
        let last: Triple | undefined; // of the old connection
        let isNow = false;
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
            if (!isNow || events.length !== 2 || last === undefined) return n;
            // The old one's end first, then the listener, and then once more the old one.
            isNow = false;
            events.sort(([, , a], [, , b]) => b - a);
            out.set([...events, [mask, last[1], last[2]]].flat());
            return 3;
          },
        }));
        using stage = new Stage({ ...modes[mode], deferAccept: false }, sys);
        const old = stage.client();
        stage.settle();
        const young = stage.client(); // waits to be accepted, and the old one's end to be read
        old.shutdown(SHUT_WR); // not close: its own number must not become free
        isNow = true;
        stage.server.tick(1000);
        expect({ isNow, accepted: accepted.length, isSame: accepted[0] === accepted[1] }).toEqual({
          isNow: false,
          accepted: 2,
          isSame: true,
        });
        expect(stage.server.stats).toMatchObject({ open: 1, errors: 0 });
        young.send(GET);
        expect(stage.receive(young, complete)).toContain("200 OK");
        expect(stage.server.stats).toMatchObject({ accepted: 2, requests: 1, errors: 0 });
      }));
  }

  test(`every event twice in its iteration: one reply for each request, and nothing is closed wrongly, ${mode}`, () =>
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
      using stage = new Stage(modes[mode], sys);
      for (let round = 0; round < 5; round++) {
        const clients = Array.from({ length: 10 }, () => stage.client(GET));
        stage.settle();
        for (const client of clients) expect(replies(client)).toBe(1);
        for (const [i, client] of clients.entries()) {
          if (i % 2 === 0 && modes[mode].keepAlive) {
            client.send(GET);
            stage.settle();
            expect(replies(client)).toBe(1);
          }
          client.close();
        }
      }
      stage.settle();
      const requests = modes[mode].keepAlive ? 75 : 50;
      expect(stage.server.stats).toMatchObject({ accepted: 50, requests, open: 0, errors: 0 });
    }));
}
