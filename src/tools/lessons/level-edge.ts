// Lesson: level-triggered and edge-triggered notification, compared on the same data.

import { EPOLLET, EPOLLIN } from "../../kernel/constants.ts";
import { queueSizes } from "../../trace/fd-info.ts";
import { formatEvents } from "./format-events.ts";
import { ARRIVAL_TIMEOUT_MS, type Lesson } from "./lesson-runner.ts";
import { pollBoth } from "./poll-both.ts";

export const levelEdge: Lesson = {
  id: "level-edge",
  title: "Level-triggered and edge-triggered",
  point:
    "Level-triggered: reported as long as data can be read. Edge-triggered (EPOLLET): reported once, when new data arrives.",
  run(runner) {
    const [level, edge] = [runner.connectedPair(), runner.connectedPair()];
    const names = { level: level.conn, edge: edge.conn };
    const epoll = runner.epoll();
    epoll.register(level.conn, EPOLLIN);
    epoll.register(edge.conn, EPOLLIN | EPOLLET);

    runner.step(
      "Five bytes arrive",
      "One connection is registered level-triggered, the other edge-triggered. Each peer sends `hello`.",
    );
    for (const { peer } of [level, edge]) peer.send("hello");
    runner.check("epoll_wait returns", formatEvents(pollBoth(epoll), names), "[(level, EPOLLIN), (edge, EPOLLIN)]");

    runner.step("Two bytes are read", "The program reads two bytes from each connection, and leaves three.");
    for (const { conn } of [level, edge]) conn.recv(2);
    runner.check(
      "bytes left in the receive queues:",
      [level, edge].map(({ conn }) => queueSizes(conn.fileno()).receiveQueueBytes),
      [3, 3],
    );

    runner.step("epoll_wait again", "No new data has arrived. Three bytes are left on both connections.");
    runner.ask(
      "What does epoll_wait return?",
      ["[]", "[(level, EPOLLIN)]", "[(edge, EPOLLIN)]", "[(level, EPOLLIN), (edge, EPOLLIN)]"],
      formatEvents(epoll.poll(50), names),
    );
    runner.check("bytes left in the receive queue of edge:", queueSizes(edge.conn.fileno()).receiveQueueBytes, 3);

    runner.step(
      "One more byte arrives",
      "The peer of edge sends one more byte. New data is a change, so edge is reported. " +
        "The three old bytes waited until then.",
    );
    while (level.conn.recv(10) !== null);
    edge.peer.send("!");
    runner.check("epoll_wait returns", formatEvents(epoll.poll(ARRIVAL_TIMEOUT_MS), names), "[(edge, EPOLLIN)]");

    runner.step(
      "The rule for EPOLLET",
      "After each event, read until recv fails with EAGAIN. Then no data is left that epoll_wait would not report.",
    );
    let received = "";
    for (let chunk; (chunk = edge.conn.recv(2)) !== null;) received += Buffer.from(chunk).toString();
    runner.check("received until EAGAIN:", received, "llo!");
  },
};
