// Lesson: no descriptor is left. The connection stays in the queue, the listener stays readable, and the loop spins.

import { EPOLLIN } from "../../kernel/constants.ts";
import { EMFILE, errnoName } from "../../kernel/errno.ts";
import { syscalls } from "../../kernel/ffi.ts";
import { formatEvents } from "./format-events.ts";
import type { Lesson } from "./lesson.ts";
import { WAIT_MS } from "./lesson-runner.ts";

const F_DUPFD_CLOEXEC = 1030;
const ITERATIONS = 5;
/** To use up more than these would take long, and the kernel's memory. */
const MOST = 1_100_000;

export const emfile: Lesson = {
  id: "emfile",
  title: "EMFILE",
  point:
    "When descriptors run out accept fails, and the connection stays in the queue: a loop that only goes on spins.",
  run(stage) {
    const { listener, connect } = stage.listener4();
    const epoll = stage.epoll();
    epoll.register(listener, EPOLLIN);
    const sys = syscalls();
    const client = connect();

    stage.step("All descriptors are gone", "This process opens as many as it may (ulimit -n). Then a client comes.");
    const taken: number[] = [];
    try {
      let last = 0;
      while ((last = sys.fcntl(listener.fileno(), F_DUPFD_CLOEXEC, 0)) >= 0) {
        taken.push(last);
        if (taken.length > MOST) throw new Error("this process may have too many open: run `ulimit -n 1024` before it");
      }
      stage.check("the last one fails with", errnoName(-last), errnoName(EMFILE));

      stage.step(
        "accept fails, again and again",
        "Readable is readable: the listener is level-triggered, and its queue is not empty. Whoever only notes the error and goes on has a loop that never rests.",
      );
      let failures = 0;
      for (let iteration = 0; iteration < ITERATIONS; iteration++) {
        const events = formatEvents(epoll.poll(WAIT_MS), { listener });
        try {
          listener.accept();
        } catch (error) {
          if ((error as { code?: string }).code === "EMFILE" && events === "[(listener, EPOLLIN)]") failures++;
        }
      }
      stage.check(`of ${ITERATIONS} iterations: reported, and EMFILE`, failures, ITERATIONS);

      stage.step(
        "Stop listening for a moment",
        "The listener is watched for nothing. Connections wait in the kernel's queue, where they cost nothing, and the others are served.",
      );
      epoll.modify(listener, 0);
      stage.ask(
        "What does epoll_wait return?",
        ["[]", "[(listener, EPOLLIN)]", "[(listener, EPOLLERR)]"],
        formatEvents(epoll.poll(20), { listener }),
      );
    } finally {
      for (const fd of taken) sys.close(fd);
    }

    stage.step("One is free again", "Somebody has left. The listener is watched again: nobody was lost.");
    epoll.modify(listener, EPOLLIN);
    stage.check("epoll_wait returns", formatEvents(epoll.poll(WAIT_MS), { listener }), "[(listener, EPOLLIN)]");
    stage.check("the client is accepted", stage.accept(listener).fileno() > 0, true);
    client.close();
  },
};
