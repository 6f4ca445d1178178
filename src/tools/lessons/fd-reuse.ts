// Lesson: the kernel reuses file descriptor numbers immediately, so an event may belong to a connection that is closed.

import { EPOLL_CTL_DEL, EPOLLIN } from "../../kernel/constants.ts";
import { errnoName } from "../../kernel/errno.ts";
import { syscalls } from "../../kernel/ffi.ts";
import { formatEvents } from "./format-events.ts";
import { ARRIVAL_TIMEOUT_MS, type Lesson } from "./lesson-runner.ts";
import { pollBoth } from "./poll-both.ts";

const F_DUPFD_CLOEXEC = 1030;
/** The lowest number for the duplicate, far from those that the lesson uses. */
const MIN_DUPLICATE_FD = 500;

export const fdReuse: Lesson = {
  id: "fd-reuse",
  title: "Reused file descriptors",
  point:
    "A new connection gets the lowest free file descriptor number. " +
    "An event in the current batch may belong to a connection that is already closed.",
  run(runner) {
    const [a, b] = [runner.connectedPair(), runner.connectedPair()];
    const { listener, connect } = runner.listen();
    const epoll = runner.epoll();
    epoll.register(a.conn, EPOLLIN);
    epoll.register(b.conn, EPOLLIN);

    runner.step("Two events in one batch", "The peers of a and b have sent data. One epoll_wait reports both.");
    a.peer.send("a");
    b.peer.send("b");
    connect();
    runner.waitUntilReadable(listener);
    const events = pollBoth(epoll);
    runner.check("epoll_wait returns", formatEvents(events, { a: a.conn, b: b.conn }), "[(a, EPOLLIN), (b, EPOLLIN)]");

    runner.step(
      "Handling a closes b",
      "While the loop handles a, the application closes b, as a chat server does when one user bans another. " +
        "Then, in the same iteration, a new client is accepted.",
    );
    const number = b.conn.fileno();
    b.conn.close();
    const accepted = runner.accept(listener);
    runner.ask(
      "Which file descriptor number does the new connection get?",
      ["a new one", "the one that b had"],
      accepted.fileno() === number ? "the one that b had" : "a new one",
    );

    runner.step(
      "The stale event",
      `The batch still contains an event that says fd ${number} is readable. That number now belongs to the new client, ` +
        "which has sent nothing. On a blocking socket, recv would block here. " +
        "A program that took the event for a hangup would close the wrong connection.",
    );
    runner.check("the file descriptor of the new connection is", accepted.fileno(), number);
    runner.check("recv on the new connection returns (null means EAGAIN):", accepted.recv(10), null);

    runner.step(
      "The remedy",
      "With each registration, a program can store 64 bits that epoll_wait returns with the event. " +
        "EpollServer stores a token there, which is different for each registration, and skips events with an old token.",
    );
    runner.confirm(
      "the batch contains the reused number",
      events.some(([fd]) => fd === number),
    );

    runner.step(
      "A registration that outlives its fd",
      "A registration belongs to the open file, not to the file descriptor number. If a duplicate keeps the file open, " +
        "the kernel still reports the closed number, and the program can no longer unregister it.",
    );
    const sys = syscalls();
    const duplicate = sys.fcntl(a.conn.fileno(), F_DUPFD_CLOEXEC, MIN_DUPLICATE_FD);
    const closed = a.conn.fileno();
    a.conn.close();
    const isReported = (timeoutMs: number): boolean => epoll.poll(timeoutMs).some(([fd]) => fd === closed);
    runner.confirm("the closed number is still reported", isReported(ARRIVAL_TIMEOUT_MS));
    const result = sys.epoll_ctl(epoll.fileno(), EPOLL_CTL_DEL, closed, 0, 0);
    runner.check("EPOLL_CTL_DEL fails with", result < 0 ? errnoName(-result) : "0", "EBADF");
    sys.close(duplicate);
    runner.confirm("after closing the duplicate, it is not reported", !isReported(20));
  },
};
