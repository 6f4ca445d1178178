// Lesson: level-triggered and edge-triggered, on the same bytes.

import { EPOLLET, EPOLLIN } from "../../kernel/constants.ts";
import { queueSizes } from "../../trace/fd-info.ts";
import { formatEvents } from "./format-events.ts";
import type { Lesson } from "./lesson.ts";
import { WAIT_MS } from "./lesson-runner.ts";

export const levelEdge: Lesson = {
  id: "level-edge",
  title: "Level against edge",
  point: "Level-triggered tells of a state, as long as it lasts; edge-triggered (EPOLLET) tells of a change, once.",
  run(stage) {
    const [level, edge] = [stage.pair(), stage.pair()];
    const names = { level: level.ours, edge: edge.ours };
    const epoll = stage.epoll();
    epoll.register(level.ours, EPOLLIN);
    epoll.register(edge.ours, EPOLLIN | EPOLLET);

    stage.step(
      "Five bytes for both",
      "Two connections, one watched level-triggered and one edge-triggered. Each peer sends hello.",
    );
    for (const { peer } of [level, edge]) peer.send("hello");
    const first = formatEvents(
      bothOf(epoll.poll(WAIT_MS), () => epoll.poll(WAIT_MS)),
      names,
    );
    stage.check("epoll_wait returns", first, "[(level, EPOLLIN), (edge, EPOLLIN)]");

    stage.step("Two of them are read", "From each two bytes are read; three are left.");
    for (const { ours } of [level, edge]) ours.recv(2);
    stage.check(
      "bytes are left",
      [level, edge].map(({ ours }) => queueSizes(ours.fileno()).receiveQueueBytes),
      [3, 3],
    );

    stage.step("Wait again", "Nothing new has come. Three bytes are there on both sides.");
    const again = formatEvents(epoll.poll(50), names);
    stage.ask(
      "What does epoll_wait return?",
      ["[]", "[(level, EPOLLIN)]", "[(edge, EPOLLIN)]", "[(level, EPOLLIN), (edge, EPOLLIN)]"],
      again,
    );
    stage.check("and yet there are bytes to read on edge", queueSizes(edge.ours.fileno()).receiveQueueBytes, 3);

    stage.step(
      "One more byte",
      "The peer of edge sends one more: that is a change, and it is told. The three old bytes had waited for it.",
    );
    while (level.ours.recv(10) !== null);
    edge.peer.send("!");
    stage.check("epoll_wait returns", formatEvents(epoll.poll(WAIT_MS), names), "[(edge, EPOLLIN)]");

    stage.step("The rule", "Edge-triggered: read until EAGAIN, each time. Then nothing is left that nobody tells of.");
    let received = "";
    for (let piece; (piece = edge.ours.recv(2)) !== null;) received += Buffer.from(piece).toString();
    stage.check("until EAGAIN", received, "llo!");
  },
};

/** The two may come one after the other. */
function bothOf(events: [number, number][], more: () => [number, number][]): [number, number][] {
  const all = new Map(events);
  for (let turns = 0; all.size < 2 && turns < 100; turns++) for (const [fd, mask] of more()) all.set(fd, mask);
  return [...all].sort(([a], [b]) => a - b);
}
