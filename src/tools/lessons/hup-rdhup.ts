// Lesson: EPOLLRDHUP, EPOLLHUP and EPOLLERR: half an end, the end, and a broken one.

import { EPOLLIN, EPOLLRDHUP, SHUT_WR, SO_LINGER, SOL_SOCKET } from "../../kernel/constants.ts";
import { Epoll } from "../../io/epoll.ts";
import { formatEvents } from "./format-events.ts";
import type { Lesson } from "./lesson.ts";
import { WAIT_MS } from "./lesson-runner.ts";

export const hupRdhup: Lesson = {
  id: "hup-rdhup",
  title: "HUP against RDHUP",
  point:
    "EPOLLRDHUP: the peer sends no more, and may still read. EPOLLHUP: both directions are over. EPOLLERR: it is broken.",
  run(stage) {
    const { ours, peer } = stage.pair();
    const epoll = stage.epoll();
    epoll.register(ours, EPOLLIN | EPOLLRDHUP);

    stage.step(
      "The peer shuts its half",
      "shutdown(SHUT_WR): it has sent all, as `nc -N` does, or a client that waits for its reply. Closing now would take the reply from it.",
    );
    peer.shutdown(SHUT_WR);
    stage.ask(
      "What does epoll_wait return?",
      ["[]", "[(ours, EPOLLIN|EPOLLRDHUP)]", "[(ours, EPOLLHUP)]", "[(ours, EPOLLIN|EPOLLHUP|EPOLLRDHUP)]"],
      formatEvents(epoll.poll(WAIT_MS), { ours }),
    );
    stage.check("recv returns", (ours.recv(10) ?? [1]).length, 0);

    stage.step("The reply still arrives", "Only half of the connection is over.");
    ours.send("the reply");
    using theirs = new Epoll();
    theirs.register(peer, EPOLLIN);
    theirs.poll(WAIT_MS);
    stage.check("the peer receives", Buffer.from(peer.recv(100) ?? []).toString(), "the reply");

    stage.step(
      "Both halves",
      "We shut ours, too. EPOLLHUP comes with the rest, whatever was asked for: with a mask of 0 it alone is reported.",
    );
    epoll.modify(ours, 0);
    ours.shutdown(SHUT_WR);
    stage.check("epoll_wait returns", formatEvents(epoll.poll(WAIT_MS), { ours }), "[(ours, EPOLLHUP)]");

    stage.step(
      "A reset",
      "Another connection: the peer throws it away with SO_LINGER of 0 seconds, which sends an RST. That is no end, that is a break: recv says ECONNRESET.",
    );
    const broken = stage.pair();
    epoll.register(broken.ours, 0);
    broken.peer.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
    broken.peer.close();
    epoll.unregister(ours);
    stage.check(
      "epoll_wait returns",
      formatEvents(epoll.poll(WAIT_MS), { broken: broken.ours }),
      "[(broken, EPOLLERR|EPOLLHUP)]",
    );
    let code = "";
    try {
      broken.ours.recv(10);
    } catch (error) {
      code = (error as { code: string }).code;
    }
    stage.check("recv fails with", code, "ECONNRESET");
  },
};
