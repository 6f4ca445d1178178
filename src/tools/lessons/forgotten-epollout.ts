// Lesson: EPOLLOUT that was forgotten: not asked for, the peer waits for ever; left on, the loop never rests.

import { EPOLLIN, EPOLLOUT, SO_SNDBUF, SOL_SOCKET } from "../../kernel/constants.ts";
import { formatEvents } from "./format-events.ts";
import type { Lesson } from "./lesson.ts";
import { WAIT_MS } from "./lesson-runner.ts";

const ITERATIONS = 60;

export const forgottenEpollout: Lesson = {
  id: "forgotten-epollout",
  title: "The forgotten EPOLLOUT",
  point:
    "Ask for EPOLLOUT exactly while output waits: not asked for, the peer waits for ever; left on, the loop never rests.",
  run(stage) {
    const { ours, peer } = stage.pair();
    ours.setsockopt(SOL_SOCKET, SO_SNDBUF, 16_384);
    const epoll = stage.epoll();
    epoll.register(ours, EPOLLIN);

    stage.step(
      "Not asked for",
      "Some output did not fit, and is kept. The program watches for EPOLLIN only. The peer reads all that had fitted, and waits for the rest.",
    );
    const bytes = new Uint8Array(8_000_000);
    let sent = 0;
    for (let more; (more = ours.send(bytes.subarray(sent))) > 0;) sent += more;
    for (let turns = 0, empty = 0; empty < 3 && turns < 10_000; turns++) {
      const piece = peer.recv(65_536);
      if (piece === null) {
        empty++;
        epoll.poll(20); // what is on its way comes
      }
    }
    const list = formatEvents(epoll.poll(50), { ours });
    stage.ask(
      "There is room again, and output waits. What does epoll_wait return?",
      ["[]", "[(ours, EPOLLOUT)]"],
      list,
    );

    stage.step(
      "Asked for",
      "With EPOLLOUT in the mask, what could have been known all along is reported at once. This was a hang, not a slow network.",
    );
    epoll.modify(ours, EPOLLIN | EPOLLOUT);
    stage.check("epoll_wait returns", formatEvents(epoll.poll(WAIT_MS), { ours }), "[(ours, EPOLLOUT)]");

    stage.step(
      "Left on",
      `Now nothing is left to send, and the mask keeps EPOLLOUT. A socket with room is always writable: epoll_wait returns at once, ${ITERATIONS} times of ${ITERATIONS}. Look at the processor.`,
    );
    let times = 0;
    for (let iteration = 0; iteration < ITERATIONS; iteration++) times += epoll.poll(WAIT_MS).length;
    stage.check(`of ${ITERATIONS} waits returned at once`, times, ITERATIONS);
    const warnings = stage.events.flatMap((event) => (event.type === "warning" ? [event.code] : []));
    stage.check("the trace warns of it", warnings.includes("idle-epollout"), true);

    stage.step("Taken back", "Without it the loop rests until there is something to do.");
    epoll.modify(ours, EPOLLIN);
    stage.check("epoll_wait returns", formatEvents(epoll.poll(20), { ours }), "[]");
  },
};
