// Lesson: a client that sends half a request head occupies a file descriptor, not the loop, and needs a timeout.

import type { InternetAddress } from "../../kernel/address.ts";
import { Socket } from "../../io/socket.ts";
import { EpollServer } from "../../server/server.ts";
import { ARRIVAL_TIMEOUT_MS, type Lesson } from "./lesson-runner.ts";

const HEADER_TIMEOUT_MS = 300;
const MAX_ITERATIONS = 1_000;

export const slowClient: Lesson = {
  id: "slow-client",
  title: "The slow client",
  point:
    "A client that sends half a request does not block an epoll loop, but it occupies a file descriptor. " +
    "A timeout ends it.",
  run(runner) {
    const server = new EpollServer({
      hostname: "127.0.0.1",
      deferAccept: false,
      headerTimeoutMs: HEADER_TIMEOUT_MS,
      trace: { listener: runner.traceListener, lines: true, bytes: true },
    });
    runner.closeAtEnd({ close: () => server.stop({ graceMs: 0 }) });
    const address = server.address as InternetAddress;
    const runUntil = (condition: () => boolean): void => {
      for (let iterations = 0; iterations < MAX_ITERATIONS && !condition(); iterations++)
        server.tick(ARRIVAL_TIMEOUT_MS);
    };

    runner.step(
      "Half a request head",
      "A client sends `GET / HTTP/1.1` and half a header field, and then nothing. " +
        "A single-threaded server with blocking sockets would now block in recv.",
    );
    const slow = runner.closeAtEnd(new Socket());
    slow.connect(address);
    slow.send("GET / HTTP/1.1\r\nHost: lo");
    runUntil(() => server.stats.bytesIn > 0);
    runner.check("open connections:", server.stats.open, 1);
    runner.check("completed requests:", server.stats.requests, 0);

    runner.step(
      "Other clients are served",
      "The server stores the half head with its connection, and the loop continues with other connections.",
    );
    const quick = runner.closeAtEnd(new Socket());
    quick.connect(address);
    quick.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    runUntil(() => server.stats.requests > 0);
    runner.check("the other client receives", statusLine(quick), "HTTP/1.1 200 OK");

    runner.step(
      "The timeout expires",
      `In this lesson, a head must be complete within ${HEADER_TIMEOUT_MS} ms (default: 10 s). ` +
        "The server passes the time until the next deadline to epoll_wait as its timeout, so it needs no other timer.",
    );
    runUntil(() => server.stats.timeouts > 0);
    runner.ask(
      "What does the slow client receive?",
      ["nothing", "HTTP/1.1 200 OK", "HTTP/1.1 408 Request Timeout"],
      statusLine(slow) || "nothing",
    );
    runner.check("connections that timed out:", server.stats.timeouts, 1);
  },
};

function statusLine(client: Socket): string {
  return (
    Buffer.from(client.recv(1_000) ?? [])
      .toString("latin1")
      .split("\r\n")[0] ?? ""
  );
}
