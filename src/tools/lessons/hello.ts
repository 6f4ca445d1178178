// Lesson: the five event lists of the document's server.

import { EpollServer } from "../../server/server.ts";
import { Socket } from "../../io/socket.ts";
import type { InternetAddress } from "../../kernel/address.ts";
import { formatMask } from "../../kernel/format-mask.ts";
import type { Lesson } from "./lesson.ts";
import { WAIT_MS, type LessonRunner } from "./lesson-runner.ts";

export const hello: Lesson = {
  id: "hello",
  title: "Hello, in five lists",
  point: "A server on one epoll loop: each epoll_wait returns a list, and each list says what to do next.",
  async run(stage) {
    const server = new EpollServer({
      hostname: "127.0.0.1",
      keepAlive: false,
      eager: false,
      deferAccept: false,
      trace: { listener: stage.listener, lines: true, bytes: true },
    });
    const end = { close: () => void server.stop({ graceMs: 0 }) };
    stage.own(end);

    stage.step(
      "Nobody is there",
      "The listening socket is registered for EPOLLIN. The wait ends with its timeout, and an empty list.",
    );
    server.tick(10);
    stage.check("epoll_wait returns", lastList(stage), "[]");

    stage.step(
      "Somebody connects",
      "A connection in the listener's queue makes the listener readable. accept takes it out, and the new descriptor is registered for EPOLLIN.",
    );
    const client = stage.own(new Socket());
    client.connect(server.address as InternetAddress);
    server.tick(WAIT_MS);
    stage.check("the listener is reported with", lastMasks(stage), "EPOLLIN");

    stage.step(
      "The request comes",
      "recv until the blank line that ends the head. There is something to send now, so the mask becomes EPOLLOUT.",
    );
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    server.tick(WAIT_MS);
    stage.check("the connection is reported with", lastMasks(stage), "EPOLLIN");

    stage.step(
      "There is room to send",
      "send takes it all. Nothing is left to ask for: the mask becomes 0, and both directions are shut down.",
    );
    server.tick(WAIT_MS);
    stage.check("the connection is reported with", lastMasks(stage), "EPOLLOUT");

    stage.step(
      "The end",
      "EPOLLHUP is reported whether asked for or not. Only now the descriptor is unregistered and closed.",
    );
    server.tick(WAIT_MS);
    stage.ask(
      "The mask is 0: nothing is asked for. What does epoll_wait report of the connection now?",
      ["nothing", "EPOLLIN", "EPOLLOUT", "EPOLLHUP"],
      lastMasks(stage),
    );
    const reply = Buffer.from(client.recv(1_000) ?? []).toString("latin1");
    stage.check("the client's reply ends with", reply.split("\r\n").at(-1), "Hello from Epoll server!");
    await server.stop({ graceMs: 0 });
  },
};

function lastWait(stage: LessonRunner): [number, number][] {
  return stage.events.findLast((event) => event.type === "wait")?.events ?? [];
}

function lastList(stage: LessonRunner): string {
  return JSON.stringify(lastWait(stage));
}

function lastMasks(stage: LessonRunner): string {
  return lastWait(stage)
    .map(([, mask]) => formatMask(mask))
    .join(", ");
}
