// Lesson: send takes what there is room for, and EPOLLOUT says when there is more.

import { EPOLLOUT, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from "../../kernel/constants.ts";
import { queueSizes } from "../../trace/fd-info.ts";
import { formatEvents } from "./format-events.ts";
import type { Lesson } from "./lesson.ts";
import { WAIT_MS } from "./lesson-runner.ts";

const ALL = 1_000_000;

export const partialWrite: Lesson = {
  id: "partial-write",
  title: "The partial write",
  point:
    "send on a non-blocking socket takes as much as the kernel has room for; the rest is yours to keep until EPOLLOUT.",
  run(stage) {
    const { ours, peer } = stage.pair();
    ours.setsockopt(SOL_SOCKET, SO_SNDBUF, 16_384);
    peer.setsockopt(SOL_SOCKET, SO_RCVBUF, 16_384);
    const epoll = stage.epoll();

    stage.step("A large reply", `${ALL} bytes are to be sent in one call. The peer does not read.`);
    const bytes = new Uint8Array(ALL);
    let sent = ours.send(bytes);
    stage.ask(
      `What does send(${ALL} bytes) return?`,
      ["all of it: send waits", "-1 EAGAIN: it does not fit", "a part of it"],
      sent === ALL ? "all of it: send waits" : sent < 0 ? "-1 EAGAIN: it does not fit" : "a part of it",
    );

    stage.step(
      "Once more",
      "The kernel's buffer is full: now it is EAGAIN. A loop that went on calling send would burn the processor; one that gave up would lose the rest.",
    );
    for (let more; (more = ours.send(bytes.subarray(sent))) > 0;) sent += more;
    stage.check("send returns", ours.send(bytes.subarray(sent)), -1);

    stage.step(
      "Ask for EPOLLOUT",
      "So the rest is kept, and the descriptor registered for EPOLLOUT. As long as the peer does not read, epoll_wait is silent.",
    );
    epoll.register(ours, EPOLLOUT);
    stage.check("epoll_wait returns", formatEvents(epoll.poll(50), { ours }), "[]");
    stage.check("bytes lie in our socket's queue", (queueSizes(ours.fileno()).sendQueueBytes ?? 0) > 0, true);

    stage.step(
      "The peer reads",
      "Its reading makes room at this end, and EPOLLOUT is reported: once for each time that there is enough room, until all is out.",
    );
    let received = 0;
    let times = 0;
    for (let turns = 0; received < ALL && turns < 10_000; turns++) {
      for (let piece; (piece = peer.recv(65_536)) !== null && piece.length > 0;) received += piece.length;
      const [event] = epoll.poll(sent < ALL ? WAIT_MS : 0);
      if (event === undefined || sent === ALL) continue;
      times++;
      for (let more; sent < ALL && (more = ours.send(bytes.subarray(sent))) > 0;) sent += more;
    }
    stage.check("EPOLLOUT was reported", times > 0, true);
    stage.check("bytes have arrived", received, ALL);
  },
};
