// Lesson: when a process runs out of file descriptors, accept fails, the listener stays readable, and the loop spins.

import { EPOLLIN } from "../../kernel/constants.ts";
import { EMFILE, errnoName } from "../../kernel/errno.ts";
import { syscalls } from "../../kernel/ffi.ts";
import { formatEvents } from "./format-events.ts";
import { ARRIVAL_TIMEOUT_MS, type Lesson } from "./lesson-runner.ts";

const F_DUPFD_CLOEXEC = 1030;
const ITERATIONS = 5;
/** With a higher limit, opening all file descriptors takes long and uses a lot of kernel memory. */
const MAX_FDS = 1_100_000;

export const emfile: Lesson = {
  id: "emfile",
  title: "Out of file descriptors: EMFILE",
  point:
    "When a process has no free file descriptor, accept fails and the connection stays in the accept queue. " +
    "A loop that ignores the error spins.",
  run(runner) {
    const { listener, connect } = runner.listen();
    const epoll = runner.epoll();
    epoll.register(listener, EPOLLIN);
    const sys = syscalls();
    const client = connect();

    runner.step(
      "Reaching the limit",
      "This process opens file descriptors until it reaches its limit (ulimit -n). A client is waiting to be accepted.",
    );
    const opened: number[] = [];
    try {
      let last = 0;
      while ((last = sys.fcntl(listener.fileno(), F_DUPFD_CLOEXEC, 0)) >= 0) {
        opened.push(last);
        if (opened.length > MAX_FDS) {
          throw new Error("the limit on open files is too high for this lesson: run `ulimit -n 1024` first");
        }
      }
      runner.check("opening one more fails with", errnoName(-last), errnoName(EMFILE));

      runner.step(
        "accept fails, and fails again",
        "The accept queue is not empty, so the level-triggered listener stays readable. " +
          "epoll_wait reports it immediately, accept fails, and so on. A loop that only logs the error uses a full CPU core.",
      );
      let failures = 0;
      for (let iteration = 0; iteration < ITERATIONS; iteration++) {
        const events = formatEvents(epoll.poll(ARRIVAL_TIMEOUT_MS), { listener });
        try {
          listener.accept();
        } catch (error) {
          if ((error as { code?: string }).code === "EMFILE" && events === "[(listener, EPOLLIN)]") failures++;
        }
      }
      runner.check(`out of ${ITERATIONS} iterations, reported readable and failed with EMFILE:`, failures, ITERATIONS);

      runner.step(
        "Pause accepting",
        "The server sets the listener's mask to 0. New connections wait in the kernel's accept queue at no cost, and the " +
          "loop keeps serving the connections it has.",
      );
      epoll.modify(listener, 0);
      runner.ask(
        "What does epoll_wait return?",
        ["[]", "[(listener, EPOLLIN)]", "[(listener, EPOLLERR)]"],
        formatEvents(epoll.poll(20), { listener }),
      );
    } finally {
      for (const fd of opened) sys.close(fd);
    }

    runner.step(
      "Resume accepting",
      "File descriptors have been closed, so the server restores the listener's mask. The waiting client was not lost.",
    );
    epoll.modify(listener, EPOLLIN);
    runner.check(
      "epoll_wait returns",
      formatEvents(epoll.poll(ARRIVAL_TIMEOUT_MS), { listener }),
      "[(listener, EPOLLIN)]",
    );
    runner.confirm("the client was accepted", runner.accept(listener).fileno() > 0);
    client.close();
  },
};
