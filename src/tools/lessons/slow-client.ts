// Lesson: a client that sends half a head and no more. It costs a descriptor, not the loop; and it has to have an end.

import type { InternetAddress } from "../../kernel/address.ts";
import { EpollServer } from "../../server/server.ts";
import { Socket } from "../../io/socket.ts";
import type { Lesson } from "./lesson.ts";
import { WAIT_MS } from "./lesson-runner.ts";

const HEADER_TIMEOUT_MS = 300;

export const slowClient: Lesson = {
  id: "slow-client",
  title: "The slow client",
  point:
    "One that sends half a request blocks nobody on an epoll loop; a clock for each wait keeps it from staying for ever.",
  async run(stage) {
    const server = new EpollServer({
      hostname: "127.0.0.1",
      deferAccept: false,
      headerTimeoutMs: HEADER_TIMEOUT_MS,
      trace: { listener: stage.listener, lines: true, bytes: true },
    });
    stage.own({ close: () => void server.stop({ graceMs: 0 }) });
    const address = server.address as InternetAddress;
    const iterationsUntil = (isThere: () => boolean): boolean => {
      for (let iterations = 0; iterations < 1_000; iterations++) {
        if (isThere()) return true;
        server.tick(WAIT_MS);
      }
      return false;
    };

    stage.step(
      "Half a head",
      "A client sends `GET / HTTP/1.1` and half of a field, and falls silent. A server with one thread and blocking calls would now stand still in recv.",
    );
    const slow = stage.own(new Socket());
    slow.connect(address);
    slow.send("GET / HTTP/1.1\r\nHost: lo");
    iterationsUntil(() => server.stats.bytesIn > 0);
    stage.check("connections are open", server.stats.open, 1);
    stage.check("requests were answered", server.stats.requests, 0);

    stage.step("Others are served", "The half head is remembered with its connection; the loop goes on.");
    const quick = stage.own(new Socket());
    quick.connect(address);
    quick.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    iterationsUntil(() => server.stats.requests > 0);
    stage.check(
      "the other's reply begins with",
      Buffer.from(quick.recv(1_000) ?? [])
        .toString("latin1")
        .slice(0, 15),
      "HTTP/1.1 200 OK",
    );

    stage.step(
      "Its time is up",
      `A head has to come within ${HEADER_TIMEOUT_MS} ms here (10 s, unless told otherwise). The timeout of epoll_wait is the time until the next deadline.`,
    );
    iterationsUntil(() => server.stats.timeouts > 0);
    const reply =
      Buffer.from(slow.recv(1_000) ?? [])
        .toString("latin1")
        .split("\r\n")[0] ?? "";
    stage.ask(
      "What does the slow client receive?",
      ["nothing", "HTTP/1.1 200 OK", "HTTP/1.1 408 Request Timeout"],
      reply === "" ? "nothing" : reply,
    );
    stage.check("timeouts", server.stats.timeouts, 1);
    await server.stop({ graceMs: 0 });
  },
};
