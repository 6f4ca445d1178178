// More is asked for than the client takes: nothing is lost, memory stays bounded, and the others have their turn.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN } from "../../src/kernel/constants.ts";
import { Epoll, type Socket } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { GET, SENTENCE, Stage, sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

for (const eager of [true, false]) {
  const mode = eager ? "eager" : "classic, keepAlive";

  test(`hundreds of requests in one segment for large replies: every one comes, whole, ${mode}`, () =>
    leavesNoFd(() => {
      const requests = 300;
      const body = Buffer.alloc(100_000, "x");
      using stage = new Stage({ eager, response: body });
      const client = stage.client(GET.repeat(requests) + GET.replace("Host: a", "Host: a\r\nConnection: close"));
      const received = readToEnd(stage, client);
      expect(received.replies).toBe(requests + 1);
      expect(received.bytes).toBe(stage.server.stats.bytesOut);
      expect(received.bytes).toBeGreaterThan((requests + 1) * body.length);
      expect(stage.server.stats).toMatchObject({ requests: requests + 1, errors: 0, timeouts: 0 });
    }));

  test(`who asks and asks and reads nothing is not read from for ever, ${mode}`, () =>
    leavesNoFd(() => {
      using stage = new Stage({ eager, response: Buffer.alloc(100_000, "x") });
      const client = stage.client();
      let asked = 0;
      for (let quiet = 0; quiet < 100;) {
        const n = client.send(GET.repeat(1000));
        if (n > 0) asked += n;
        quiet = stage.server.tick(0) === 0 && n < 0 ? quiet + 1 : 0;
      }
      const { requests, bytesIn } = stage.server.stats;
      expect(bytesIn).toBeLessThan(asked); // the rest waits in the kernel
      expect(requests).toBeLessThan(1000);
      using other = stage.client(GET);
      for (let i = 0; i < 10 && other.recv(10) === null; i++) stage.server.tick(1);
      expect(stage.server.stats.requests).toBe(requests + 1);
    }));

  test(`a kernel that takes one byte at a time gets every byte in order, ${mode}`, () =>
    leavesNoFd(() => {
      const sys = sysWith((host) => ({
        send: (fd, bytes, offset, length, flags) => host.send(fd, bytes, offset, Math.min(1, length), flags),
      }));
      using stage = new Stage({ eager }, sys);
      const [one, two] = [stage.client(GET.repeat(3)), stage.client(GET)];
      for (const [client, replies] of [
        [one, 3],
        [two, 1],
      ] as const) {
        const text = stage.receive(client, new RegExp(`(Hello from Epoll server![^]*){${replies}}$`));
        const parts = text.split(SENTENCE);
        expect(parts.pop()).toBe("");
        for (const head of parts) expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\nContent-Length: 24\r\n\r\n$/);
        expect(parts).toHaveLength(replies);
      }
    }));
}

/** Count the replies and bytes that come, to the end. */
function readToEnd(stage: Stage, client: Socket): { replies: number; bytes: number } {
  using epoll = new Epoll();
  epoll.register(client, EPOLLIN);
  let replies = 0;
  let bytes = 0;
  let tail = "";
  for (;;) {
    stage.server.tick(0);
    if (epoll.poll(0).length === 0) continue;
    const received = client.recv(1_000_000);
    if (received === null) continue;
    if (received.length === 0) return { replies, bytes };
    bytes += received.length;
    const text = tail + Buffer.from(received).toString("latin1");
    replies += text.split("HTTP/1.1 200 OK").length - 1;
    tail = text.slice(-14).replace("HTTP/1.1 200 OK", "");
  }
}
