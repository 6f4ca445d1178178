// Lesson: a number is not a connection. It is given again at once, and an event of the list may be of who had it before.

import { EPOLLIN } from "../../kernel/constants.ts";
import { errnoName } from "../../kernel/errno.ts";
import { syscalls } from "../../kernel/ffi.ts";
import { formatEvents } from "./format-events.ts";
import type { Lesson } from "./lesson.ts";
import { WAIT_MS } from "./lesson-runner.ts";

const F_DUPFD_CLOEXEC = 1030;
const F_DUPFD_FROM = 500;

export const fdReuse: Lesson = {
  id: "fd-reuse",
  title: "The number that came back",
  point:
    "The kernel gives the lowest free number: an event of this very iteration may belong to a connection that is gone.",
  run(stage) {
    const [a, b] = [stage.pair(), stage.pair()];
    const { listener, connect } = stage.listener4();
    const epoll = stage.epoll();
    epoll.register(a.ours, EPOLLIN);
    epoll.register(b.ours, EPOLLIN);

    stage.step("Two are ready", "Both have sent something. One wait brings both events.");
    a.peer.send("a");
    b.peer.send("b");
    const events = new Map<number, number>();
    for (let turns = 0; events.size < 2 && turns < 100; turns++) {
      for (const [fd, mask] of epoll.poll(WAIT_MS)) events.set(fd, mask);
    }
    stage.check(
      "epoll_wait returns",
      formatEvents(
        [...events].sort(([x], [y]) => x - y),
        { a: a.ours, b: b.ours },
      ),
      "[(a, EPOLLIN), (b, EPOLLIN)]",
    );

    stage.step(
      "The first one closes the second",
      "It is a's turn, and a has b closed: a chat that throws somebody out. Then, still in this iteration, a new client is accepted.",
    );
    const number = b.ours.fileno();
    b.ours.close();
    connect();
    epoll.register(listener, EPOLLIN);
    epoll.poll(WAIT_MS);
    const stranger = stage.accept(listener);
    stage.ask(
      "Which number does the new connection get?",
      ["a new one", "the one that b had"],
      stranger.fileno() === number ? "the one that b had" : "a new one",
    );

    stage.step(
      "The event of who is gone",
      `The list of this iteration still says that ${number} is readable. It is the stranger's number now, and the stranger has sent nothing: a blocking recv would wait here for ever; a program that took the event for a hang-up would close a guest.`,
    );
    stage.check("recv returns (null: EAGAIN)", stranger.recv(10), null);

    stage.step(
      "What helps",
      "epoll brings back 64 bits with each event that the program may choose. EpollServer puts a token there, another one for each registration, and passes over events with an old one.",
    );
    stage.check("the list still has the number", events.has(number), true);

    stage.step(
      "And a ghost",
      "The other way round: a duplicate keeps the open file alive. The number is closed, the kernel still watches it, and the program can no longer unregister it.",
    );
    const sys = syscalls();
    const duplicate = sys.fcntl(a.ours.fileno(), F_DUPFD_CLOEXEC, F_DUPFD_FROM);
    const ghost = a.ours.fileno();
    a.ours.close();
    const seen = epoll.poll(WAIT_MS).some(([fd]) => fd === ghost);
    stage.check("the closed number is reported", seen, true);
    const result = sys.epoll_ctl(epoll.fileno(), 2, ghost, 0, 0);
    stage.check("epoll_ctl DEL says", result < 0 ? errnoName(-result) : "0", "EBADF");
    sys.close(duplicate);
    stage.check(
      "without the duplicate it is reported",
      epoll.poll(20).some(([fd]) => fd === ghost),
      false,
    );
  },
};
