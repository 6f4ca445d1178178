// The end of a stream, a hang-up, an error, urgent data: which mask says so, and which come unasked.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Address } from "../../../src/kernel/address.ts";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  MSG_OOB,
  SHUT_RDWR,
  SHUT_WR,
  SO_OOBINLINE,
  SOL_SOCKET,
} from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import type { ErrnoError } from "../../../src/kernel/errors.ts";
import { Socket } from "../../../src/io/socket.ts";
import { Ends, everyFdIsClosed, Fifo, PATIENCE_MS, reportOf } from "../../support/descriptors.ts";
import { errnoError, failure, until } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

/** The masks that poll returns for one socket now, as Python shows them: numbers. */
function masks(socket: Socket, mask: number): number[] {
  using epoll = new Epoll();
  epoll.register(socket, mask);
  return epoll.poll(0).map(([, reported]) => reported);
}

/** Connect, and return the name of the error that it ends with, at once or later. */
function refusal(socket: Socket, address: Address): string {
  try {
    if (socket.connect(address)) return "none";
    until(socket, EPOLLOUT);
    return errnoError(() => socket.recv(1)).code;
  } catch (error) {
    return (error as ErrnoError).code;
  }
}

describe("over TCP, level-triggered", () => {
  test("a socket that was never connected: EPOLLHUP unasked, and EPOLLOUT", () => {
    using socket = new Socket();
    expect(masks(socket, 0)).toEqual([16]);
    expect(masks(socket, EPOLLOUT)).toEqual([20]);
  });

  test("the peer has shut its writing half: EPOLLIN; EPOLLRDHUP if asked; unasked nothing", () => {
    using ends = Ends.tcp();
    ends.there.shutdown(SHUT_WR);
    until(ends.here, EPOLLRDHUP);
    expect(masks(ends.here, EPOLLIN)).toEqual([1]);
    expect(masks(ends.here, EPOLLIN | EPOLLRDHUP)).toEqual([8193]);
    expect(masks(ends.here, 0)).toEqual([]);
  });

  test("the peer has closed: the same", () => {
    using ends = Ends.tcp();
    ends.there.close();
    until(ends.here, EPOLLRDHUP);
    expect(masks(ends.here, EPOLLIN)).toEqual([1]);
    expect(masks(ends.here, EPOLLIN | EPOLLRDHUP)).toEqual([8193]);
    expect(masks(ends.here, 0)).toEqual([]);
  });

  test("both halves shut here, the peer open: EPOLLHUP unasked, at once", () => {
    using ends = Ends.tcp();
    using epoll = new Epoll();
    epoll.register(ends.here, 0);
    ends.here.shutdown(SHUT_RDWR);
    expect(epoll.poll(0)).toEqual([[ends.here.fileno(), 16]]);
  });

  test("both halves shut here, the peer gone: EPOLLHUP unasked", () => {
    using ends = Ends.tcp();
    ends.there.close();
    until(ends.here, EPOLLRDHUP);
    ends.here.shutdown(SHUT_RDWR);
    expect(masks(ends.here, 0)).toEqual([16]);
  });

  test("one half shut by each side: EPOLLHUP unasked", () => {
    using ends = Ends.tcp();
    ends.here.shutdown(SHUT_WR);
    expect(masks(ends.here, 0)).toEqual([]);
    ends.there.shutdown(SHUT_WR);
    until(ends.here, EPOLLRDHUP);
    expect(masks(ends.here, 0)).toEqual([16]);
  });

  test("the peer has reset: EPOLLERR and EPOLLHUP unasked; a later shutdown fails ENOTCONN", () => {
    using ends = Ends.tcp();
    using epoll = new Epoll();
    epoll.register(ends.here, 0);
    ends.reset();
    expect(epoll.poll(PATIENCE_MS)).toEqual([[ends.here.fileno(), 24]]);
    expect(failure(() => ends.here.shutdown(SHUT_RDWR))).toEqual(["ENOTCONN", "shutdown"]);
  });

  test("a reset that has been read as an error leaves EPOLLHUP alone", () => {
    using ends = Ends.tcp();
    ends.reset();
    until(ends.here, 0);
    expect(errnoError(() => ends.here.recv(1)).code).toBe("ECONNRESET");
    expect(masks(ends.here, 0)).toEqual([16]);
  });

  test("the end of the stream, read but not closed, stays EPOLLIN for ever", () => {
    using ends = Ends.tcp();
    using epoll = new Epoll();
    epoll.register(ends.here, EPOLLIN);
    ends.there.close();
    for (let i = 0; i < 5; i++) {
      expect(epoll.poll(PATIENCE_MS)).toEqual([[ends.here.fileno(), 1]]);
      expect(ends.here.recv(1)).toHaveLength(0);
    }
  });

  test("data before the end of the stream is one EPOLLIN with it", () => {
    using ends = Ends.tcp();
    ends.there.send("x");
    ends.there.close();
    until(ends.here, EPOLLRDHUP);
    expect(masks(ends.here, EPOLLIN | EPOLLRDHUP)).toEqual([8193]);
    expect(ends.here.recv(10)).toHaveLength(1);
    expect(masks(ends.here, EPOLLIN)).toEqual([1]);
  });

  test("a listener is readable when a connection waits, and never writable", () => {
    using listener = new Socket();
    using client = new Socket();
    using epoll = new Epoll();
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen();
    epoll.register(listener);
    expect(epoll.poll(0)).toEqual([]);
    client.connect(listener.getsockname());
    expect(reportOf(epoll, listener, PATIENCE_MS)).toBe("EPOLLIN");
    listener.accept()?.socket.close();
    expect(epoll.poll(0)).toEqual([]);
  });

  test("a connection that was refused: EPOLLHUP unasked, when the error is taken", () => {
    using nobody = new Socket();
    using client = new Socket();
    nobody.bind({ address: "127.0.0.1", port: 0 });
    expect(refusal(client, nobody.getsockname())).toBe("ECONNREFUSED");
    expect(masks(client, 0)).toEqual([16]);
  });

  test("an urgent byte is EPOLLPRI, until it is read", () => {
    using ends = Ends.tcp();
    using epoll = new Epoll();
    epoll.register(ends.here, EPOLLIN | EPOLLPRI);
    ends.there.send("!", MSG_OOB);
    expect(reportOf(epoll, ends.here, PATIENCE_MS)).toBe("EPOLLPRI");
    expect(reportOf(epoll, ends.here)).toBe("EPOLLPRI");
    expect(ends.here.recv(1, MSG_OOB)).toEqual(new Uint8Array([33]));
    expect(reportOf(epoll, ends.here)).toBe("nothing");
  });

  test("an urgent byte is not reported unless it is asked for", () => {
    using ends = Ends.tcp();
    ends.there.send("!", MSG_OOB);
    until(ends.here, EPOLLPRI);
    expect(masks(ends.here, EPOLLIN)).toEqual([]);
  });

  test("an urgent byte in line is EPOLLPRI and EPOLLIN", () => {
    using ends = Ends.tcp();
    ends.here.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1);
    ends.there.send("!", MSG_OOB);
    until(ends.here, EPOLLPRI);
    expect(masks(ends.here, EPOLLIN | EPOLLPRI)).toEqual([3]);
  });
});

describe("over a unix stream", () => {
  test("the peer has shut its writing half: EPOLLIN, EPOLLRDHUP if asked, no EPOLLHUP", () => {
    using ends = new Ends();
    ends.there.shutdown(SHUT_WR);
    expect(masks(ends.here, EPOLLIN | EPOLLRDHUP)).toEqual([8193]);
    expect(masks(ends.here, 0)).toEqual([]);
  });

  test("EPOLLRDHUP alone reports the end, and not data", () => {
    using ends = new Ends();
    ends.there.send("x");
    expect(masks(ends.here, EPOLLRDHUP)).toEqual([]);
    ends.there.shutdown(SHUT_WR);
    expect(masks(ends.here, EPOLLRDHUP)).toEqual([8192]);
  });

  test("the peer has closed: EPOLLHUP unasked", () => {
    using ends = new Ends();
    ends.there.close();
    expect(masks(ends.here, 0)).toEqual([16]);
    expect(masks(ends.here, EPOLLIN | EPOLLOUT | EPOLLRDHUP)).toEqual([8213]);
  });

  test("the peer has closed with data unread: EPOLLERR and EPOLLHUP unasked", () => {
    using ends = new Ends();
    ends.here.send("never read");
    ends.there.close();
    expect(masks(ends.here, 0)).toEqual([24]);
  });
});

describe("of a FIFO", () => {
  test("the writer is gone: EPOLLHUP unasked, beside EPOLLIN while there is data", () => {
    using fifo = new Fifo();
    using epoll = new Epoll();
    epoll.register(fifo.reader, EPOLLIN);
    fifo.writer.write(new Uint8Array(1));
    fifo.writer.close();
    expect(reportOf(epoll, fifo.reader)).toBe("EPOLLIN|EPOLLHUP");
    fifo.reader.read(1);
    expect(reportOf(epoll, fifo.reader)).toBe("EPOLLHUP");
    epoll.modify(fifo.reader, 0);
    expect(reportOf(epoll, fifo.reader)).toBe("EPOLLHUP");
  });

  test("the reader is gone: EPOLLERR unasked", () => {
    using fifo = new Fifo();
    using epoll = new Epoll();
    epoll.register(fifo.writer, 0);
    expect(reportOf(epoll, fifo.writer)).toBe("nothing");
    fifo.reader.close();
    expect(reportOf(epoll, fifo.writer)).toBe("EPOLLERR");
  });
});

test("to ask for EPOLLERR and EPOLLHUP changes nothing", () => {
  using ends = new Ends();
  expect(masks(ends.here, EPOLLERR | EPOLLHUP)).toEqual([]);
  ends.there.close();
  expect(masks(ends.here, EPOLLERR | EPOLLHUP)).toEqual([16]);
});
