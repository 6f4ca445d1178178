// Lesson: EPOLLONESHOT: one event, then silence until it is armed again.

import { EPOLLIN, EPOLLONESHOT } from "../../kernel/constants.ts";
import { formatMask } from "../../kernel/format-mask.ts";
import { interestList } from "../../trace/kernel-state.ts";
import { formatEvents } from "./format-events.ts";
import type { Lesson } from "./lesson.ts";
import { WAIT_MS } from "./lesson-runner.ts";

export const oneShot: Lesson = {
  id: "one-shot",
  title: "One shot",
  point: "With EPOLLONESHOT a descriptor is reported once and then disarmed: so that of many threads only one gets it.",
  run(stage) {
    const { ours, peer } = stage.pair();
    const epoll = stage.epoll();
    const kernels = (): string => formatMask(interestList(epoll).find(({ fd }) => fd === ours.fileno())?.mask ?? 0);

    stage.step(
      "Armed",
      "Registered for EPOLLIN|EPOLLONESHOT. The kernel adds EPOLLERR and EPOLLHUP, as it always does.",
    );
    epoll.register(ours, EPOLLIN | EPOLLONESHOT);
    stage.check("the kernel's mask", kernels(), "EPOLLIN|EPOLLERR|EPOLLHUP|EPOLLONESHOT");

    stage.step(
      "The shot",
      "The peer sends. The event comes, and with it the kernel disarms the registration; it is there still, without anything to report.",
    );
    peer.send("one");
    stage.check("epoll_wait returns", formatEvents(epoll.poll(WAIT_MS), { ours }), "[(ours, EPOLLIN)]");
    stage.check("the kernel's mask", kernels(), "EPOLLONESHOT");

    stage.step("Silence", "Nothing was read: three bytes wait. The peer sends three more, and hangs up.");
    peer.send("two");
    peer.close();
    stage.ask(
      "What does epoll_wait return?",
      ["[]", "[(ours, EPOLLIN)]", "[(ours, EPOLLIN|EPOLLRDHUP)]"],
      formatEvents(epoll.poll(50), { ours }),
    );

    stage.step(
      "Armed again",
      "epoll_ctl MOD arms it, and what is true at that moment is reported at once: nothing was lost, it was only not said.",
    );
    epoll.modify(ours, EPOLLIN | EPOLLONESHOT);
    stage.check("epoll_wait returns", formatEvents(epoll.poll(WAIT_MS), { ours }), "[(ours, EPOLLIN)]");
    stage.check("recv has", Buffer.from(ours.recv(100) ?? []).toString(), "onetwo");
  },
};
