// Lesson: the five event lists that serve one request.

import type { InternetAddress } from "../../kernel/address.ts";
import { formatMask } from "../../kernel/format-mask.ts";
import { Socket } from "../../io/socket.ts";
import { EpollServer } from "../../server/server.ts";
import { ARRIVAL_TIMEOUT_MS, type Lesson, type LessonRunner } from "./lesson-runner.ts";

export const hello: Lesson = {
  id: "hello",
  title: "One request in five event lists",
  point: "An epoll server is a loop: each epoll_wait returns a list of events, and each event says what to do next.",
  run(runner) {
    const server = new EpollServer({
      hostname: "127.0.0.1",
      keepAlive: false,
      eager: false,
      deferAccept: false,
      trace: { listener: runner.traceListener, lines: true, bytes: true },
    });
    runner.closeAtEnd({ close: () => server.stop({ graceMs: 0 }) });

    runner.step(
      "No client",
      "The listening socket is registered with EPOLLIN. No client connects, so epoll_wait returns an empty list when its " +
        "timeout expires.",
    );
    server.tick(10);
    runner.check("epoll_wait returns", JSON.stringify(lastEvents(runner)), "[]");

    runner.step(
      "A client connects",
      "A connection in the accept queue makes the listening socket readable. " +
        "The server accepts it and registers the new file descriptor with EPOLLIN.",
    );
    const client = runner.closeAtEnd(new Socket());
    client.connect(server.address as InternetAddress);
    server.tick(ARRIVAL_TIMEOUT_MS);
    runner.check("the listening socket is reported with", lastMasks(runner), "EPOLLIN");

    runner.step(
      "The request arrives",
      "The server calls recv until it has the blank line that ends the request head. " +
        "Now there is a response to send, so it changes the mask to EPOLLOUT.",
    );
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    server.tick(ARRIVAL_TIMEOUT_MS);
    runner.check("the connection is reported with", lastMasks(runner), "EPOLLIN");

    runner.step(
      "The socket is writable",
      "The server sends the whole response with one send. It expects nothing more, so it sets the mask to 0 and shuts down " +
        "both directions of the connection.",
    );
    server.tick(ARRIVAL_TIMEOUT_MS);
    runner.check("the connection is reported with", lastMasks(runner), "EPOLLOUT");

    runner.step(
      "The connection ends",
      "EPOLLHUP is always reported, whatever the mask. Only now does the server unregister and close the file descriptor.",
    );
    server.tick(ARRIVAL_TIMEOUT_MS);
    runner.ask(
      "With a mask of 0, what does epoll_wait report for the connection?",
      ["nothing", "EPOLLIN", "EPOLLOUT", "EPOLLHUP"],
      lastMasks(runner),
    );
    const response = Buffer.from(client.recv(1_000) ?? []).toString("latin1");
    runner.check("the client received the body:", response.split("\r\n").at(-1), "Hello from Epoll server!");
  },
};

function lastEvents(runner: LessonRunner): [fd: number, mask: number][] {
  return runner.events.findLast((event) => event.type === "wait")?.events ?? [];
}

function lastMasks(runner: LessonRunner): string {
  return lastEvents(runner)
    .map(([, mask]) => formatMask(mask))
    .join(", ");
}
