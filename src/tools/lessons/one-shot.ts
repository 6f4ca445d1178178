// Lesson: with EPOLLONESHOT, a registration is disarmed after one event.

import { EPOLLIN, EPOLLONESHOT } from "../../kernel/constants.ts";
import { formatMask } from "../../kernel/format-mask.ts";
import { interestList } from "../../trace/interest-list.ts";
import { formatEvents } from "./format-events.ts";
import { ARRIVAL_TIMEOUT_MS, type Lesson } from "./lesson-runner.ts";

export const oneShot: Lesson = {
  id: "one-shot",
  title: "EPOLLONESHOT",
  point:
    "With EPOLLONESHOT, a file descriptor is reported once and then disarmed. " +
    "If several threads wait, only one of them handles it at a time.",
  run(runner) {
    const { conn, peer } = runner.connectedPair();
    const epoll = runner.epoll();
    const kernelMask = (): string => formatMask(interestList(epoll).find(({ fd }) => fd === conn.fileno())?.mask ?? 0);

    runner.step(
      "Armed",
      "The connection is registered with EPOLLIN|EPOLLONESHOT. The kernel adds EPOLLERR and EPOLLHUP to every mask.",
    );
    epoll.register(conn, EPOLLIN | EPOLLONESHOT);
    runner.check("the kernel mask is", kernelMask(), "EPOLLIN|EPOLLERR|EPOLLHUP|EPOLLONESHOT");

    runner.step(
      "One event",
      "The peer sends data. The kernel reports the event and disarms the registration, which stays in the interest list " +
        "without any events.",
    );
    peer.send("one");
    runner.check("epoll_wait returns", formatEvents(epoll.poll(ARRIVAL_TIMEOUT_MS), { conn }), "[(conn, EPOLLIN)]");
    runner.check("the kernel mask is now", kernelMask(), "EPOLLONESHOT");

    runner.step(
      "Disarmed",
      "The program has not read the three bytes. The peer sends three more and closes the connection.",
    );
    peer.send("two");
    peer.close();
    runner.ask(
      "What does epoll_wait return?",
      ["[]", "[(conn, EPOLLIN)]", "[(conn, EPOLLIN|EPOLLRDHUP)]"],
      formatEvents(epoll.poll(50), { conn }),
    );

    runner.step(
      "Re-armed",
      "EPOLL_CTL_MOD re-arms the registration. The socket is readable at that moment, so the event is reported immediately. " +
        "No data was lost.",
    );
    epoll.modify(conn, EPOLLIN | EPOLLONESHOT);
    runner.check("epoll_wait returns", formatEvents(epoll.poll(ARRIVAL_TIMEOUT_MS), { conn }), "[(conn, EPOLLIN)]");
    runner.check("recv returns", Buffer.from(conn.recv(100) ?? []).toString(), "onetwo");
  },
};
