// Lesson: EPOLLRDHUP, EPOLLHUP and EPOLLERR: the peer closed its side, both sides are closed, the connection failed.

import { EPOLLIN, EPOLLRDHUP, SHUT_WR } from "../../kernel/constants.ts";
import { formatEvents } from "./format-events.ts";
import { ARRIVAL_TIMEOUT_MS, type Lesson } from "./lesson-runner.ts";

export const hupRdhup: Lesson = {
  id: "hup-rdhup",
  title: "EPOLLRDHUP, EPOLLHUP and EPOLLERR",
  point:
    "EPOLLRDHUP: the peer sends nothing more, but may still read. EPOLLHUP: both directions are shut down. " +
    "EPOLLERR: the connection failed.",
  run(runner) {
    const { conn, peer } = runner.connectedPair();
    const epoll = runner.epoll();
    epoll.register(conn, EPOLLIN | EPOLLRDHUP);

    runner.step(
      "The peer shuts down writing",
      "The peer calls shutdown(SHUT_WR): it has sent everything and waits for the response, as `nc -N` does. " +
        "A server that closed the connection now would discard the response.",
    );
    peer.shutdown(SHUT_WR);
    runner.ask(
      "What does epoll_wait return?",
      ["[]", "[(conn, EPOLLIN|EPOLLRDHUP)]", "[(conn, EPOLLHUP)]", "[(conn, EPOLLIN|EPOLLHUP|EPOLLRDHUP)]"],
      formatEvents(epoll.poll(ARRIVAL_TIMEOUT_MS), { conn }),
    );
    runner.check("recv returns (0 is end of stream):", (conn.recv(10) ?? [1]).length, 0);

    runner.step("The response still arrives", "Only one direction is shut down. The other one still works.");
    conn.send("the response");
    runner.waitUntilReadable(peer);
    runner.check("the peer receives", Buffer.from(peer.recv(100) ?? []).toString(), "the response");

    runner.step(
      "Both directions are shut down",
      "The server shuts down writing, too. EPOLLHUP is reported whatever the mask; with a mask of 0, it is the only event.",
    );
    epoll.modify(conn, 0);
    conn.shutdown(SHUT_WR);
    runner.check("epoll_wait returns", formatEvents(epoll.poll(ARRIVAL_TIMEOUT_MS), { conn }), "[(conn, EPOLLHUP)]");

    runner.step(
      "A reset",
      "On another connection, the peer sets SO_LINGER to 0 seconds and closes, which sends a RST. " +
        "This is an error, not an end of stream: recv fails.",
    );
    const reset = runner.connectedPair();
    epoll.register(reset.conn, 0);
    reset.peer.setLinger(0);
    reset.peer.close();
    epoll.unregister(conn);
    runner.check(
      "epoll_wait returns",
      formatEvents(epoll.poll(ARRIVAL_TIMEOUT_MS), { conn: reset.conn }),
      "[(conn, EPOLLERR|EPOLLHUP)]",
    );
    let code = "";
    try {
      reset.conn.recv(10);
    } catch (error) {
      code = (error as { code: string }).code;
    }
    runner.check("recv fails with", code, "ECONNRESET");
  },
};
