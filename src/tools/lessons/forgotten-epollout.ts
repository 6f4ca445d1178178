// Lesson: without EPOLLOUT, pending output is never sent; with EPOLLOUT always set, the loop spins.

import { EPOLLIN, EPOLLOUT, SO_SNDBUF, SOL_SOCKET } from "../../kernel/constants.ts";
import { formatEvents } from "./format-events.ts";
import { ARRIVAL_TIMEOUT_MS, type Lesson } from "./lesson-runner.ts";

const ITERATIONS = 60;
const MAX_READS = 10_000;
/** After this many empty reads in a row, no more data is in transit. */
const MAX_EMPTY_READS = 3;

export const forgottenEpollout: Lesson = {
  id: "forgotten-epollout",
  title: "The forgotten EPOLLOUT",
  point:
    "Set EPOLLOUT exactly while output is pending. Without it the peer waits indefinitely; if it stays set, the loop spins.",
  run(runner) {
    const { conn, peer } = runner.connectedPair();
    conn.setsockopt(SOL_SOCKET, SO_SNDBUF, 16_384);
    const epoll = runner.epoll();
    epoll.register(conn, EPOLLIN);

    runner.step(
      "EPOLLOUT is missing",
      "Some output did not fit in the send queue, and the program keeps it for later. The mask is only EPOLLIN. " +
        "The peer reads everything that was sent, and waits for the rest.",
    );
    const bytes = new Uint8Array(8_000_000);
    let sent = 0;
    for (let more; (more = conn.send(bytes.subarray(sent))) > 0;) sent += more;
    for (let reads = 0, emptyReads = 0; emptyReads < MAX_EMPTY_READS && reads < MAX_READS; reads++) {
      if (peer.recv(65_536) !== null) continue;
      emptyReads++;
      epoll.poll(20); // lets data in transit arrive
    }
    runner.ask(
      "The send queue has room again, and output is pending. What does epoll_wait return?",
      ["[]", "[(conn, EPOLLOUT)]"],
      formatEvents(epoll.poll(50), { conn }),
    );

    runner.step(
      "EPOLLOUT is set",
      "With EPOLLOUT in the mask, epoll_wait reports immediately that the socket is writable. " +
        "The network was not slow: the program never asked.",
    );
    epoll.modify(conn, EPOLLIN | EPOLLOUT);
    runner.check("epoll_wait returns", formatEvents(epoll.poll(ARRIVAL_TIMEOUT_MS), { conn }), "[(conn, EPOLLOUT)]");

    runner.step(
      "EPOLLOUT stays set",
      "Now all output is sent, but the mask still contains EPOLLOUT. A socket with room in its send queue is always " +
        "writable, so epoll_wait never blocks, and the loop uses a full CPU core.",
    );
    let immediateReturns = 0;
    for (let iteration = 0; iteration < ITERATIONS; iteration++) {
      immediateReturns += epoll.poll(ARRIVAL_TIMEOUT_MS).length;
    }
    runner.check(`out of ${ITERATIONS} calls, epoll_wait returned immediately:`, immediateReturns, ITERATIONS);
    const hasWarning = runner.events.some((event) => event.type === "warning" && event.code === "idle-epollout");
    runner.confirm("the trace contains the warning idle-epollout", hasWarning);

    runner.step("EPOLLOUT is cleared", "Without EPOLLOUT, the loop blocks until there is something to do.");
    epoll.modify(conn, EPOLLIN);
    runner.check("epoll_wait returns", formatEvents(epoll.poll(20), { conn }), "[]");
  },
};
