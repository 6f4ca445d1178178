// Lesson: send accepts only what fits in the send queue, and EPOLLOUT reports when there is room for more.

import { EPOLLOUT, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from "../../kernel/constants.ts";
import { queueSizes } from "../../trace/fd-info.ts";
import { formatEvents } from "./format-events.ts";
import { ARRIVAL_TIMEOUT_MS, type Lesson } from "./lesson-runner.ts";

const TOTAL_BYTES = 1_000_000;
const MAX_ROUNDS = 10_000;

export const partialWrite: Lesson = {
  id: "partial-write",
  title: "Partial writes",
  point:
    "On a non-blocking socket, send accepts as many bytes as fit in the send queue. " +
    "The program keeps the rest until EPOLLOUT is reported.",
  run(runner) {
    const { conn, peer } = runner.connectedPair();
    conn.setsockopt(SOL_SOCKET, SO_SNDBUF, 16_384);
    peer.setsockopt(SOL_SOCKET, SO_RCVBUF, 16_384);
    const epoll = runner.epoll();

    runner.step("A large response", "The program sends 1,000,000 bytes with one call. The peer does not read.");
    const bytes = new Uint8Array(TOTAL_BYTES);
    let sent = conn.send(bytes);
    const choices = [
      "1,000,000, after blocking until all bytes fit",
      "-1 (EAGAIN), because they do not all fit",
      "fewer than 1,000,000",
    ] as const;
    runner.ask(
      "What does send return?",
      [...choices],
      sent === TOTAL_BYTES ? choices[0] : sent < 0 ? choices[1] : choices[2],
    );

    runner.step(
      "The send queue is full",
      "The next calls fail with EAGAIN. A loop that kept calling send would waste CPU time; " +
        "one that gave up would lose the rest of the response.",
    );
    for (let more; (more = conn.send(bytes.subarray(sent))) > 0;) sent += more;
    runner.check("send returns", conn.send(bytes.subarray(sent)), -1);

    runner.step(
      "Wait for EPOLLOUT",
      "The program keeps the rest and registers the connection with EPOLLOUT. " +
        "As long as the peer does not read, epoll_wait returns nothing.",
    );
    epoll.register(conn, EPOLLOUT);
    runner.check("epoll_wait returns", formatEvents(epoll.poll(50), { conn }), "[]");
    runner.confirm("the send queue holds data", (queueSizes(conn.fileno()).sendQueueBytes ?? 0) > 0);

    runner.step(
      "The peer reads",
      "When the peer reads, the send queue drains. Whenever it has enough room, EPOLLOUT is reported, until all bytes are sent.",
    );
    let received = 0;
    let reports = 0;
    for (let round = 0; received < TOTAL_BYTES && round < MAX_ROUNDS; round++) {
      for (let chunk; (chunk = peer.recv(65_536)) !== null && chunk.length > 0;) received += chunk.length;
      const [event] = epoll.poll(sent < TOTAL_BYTES ? ARRIVAL_TIMEOUT_MS : 0);
      if (event === undefined || sent === TOTAL_BYTES) continue;
      reports++;
      for (let more; sent < TOTAL_BYTES && (more = conn.send(bytes.subarray(sent))) > 0;) sent += more;
    }
    runner.confirm("EPOLLOUT was reported", reports > 0);
    runner.check("bytes received by the peer:", received, TOTAL_BYTES);
  },
};
