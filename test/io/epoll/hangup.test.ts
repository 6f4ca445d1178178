// The masks of end of stream, hang-up, errors and urgent data, and which of them are reported without being requested.

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
import { Ends, everyFdIsClosed, Fifo, reportOf } from "../../support/descriptors.ts";
import { WAIT_TIMEOUT_MS } from "../../support/eventually.ts";
import { errnoError, failure, until } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

/** Returns the masks that poll reports for a socket, as numbers. */
function masks(socket: Socket, mask: number): number[] {
  using epoll = new Epoll();
  epoll.register(socket, mask);
  return epoll.poll(0).map(([, reported]) => reported);
}

/** Connects and returns the error code of the failure, whether it is immediate or delayed. */
function connectError(socket: Socket, address: Address): string {
  try {
    if (socket.connect(address)) return "none";
    until(socket, EPOLLOUT);
    return errnoError(() => socket.recv(1)).code;
  } catch (error) {
    return (error as ErrnoError).code;
  }
}

describe("over TCP, level-triggered", () => {
  test("a socket that was never connected: EPOLLHUP and EPOLLOUT", () => {
    using socket = new Socket();
    expect(masks(socket, 0)).toEqual([16]);
    expect(masks(socket, EPOLLOUT)).toEqual([20]);
  });

  test("the peer shut down writing: EPOLLIN and EPOLLRDHUP, if requested", () => {
    using ends = Ends.tcp();
    ends.there.shutdown(SHUT_WR);
    until(ends.here, EPOLLRDHUP);
    expect(masks(ends.here, EPOLLIN)).toEqual([1]);
    expect(masks(ends.here, EPOLLIN | EPOLLRDHUP)).toEqual([8193]);
    expect(masks(ends.here, 0)).toEqual([]);
  });

  test("the peer closed: EPOLLIN and EPOLLRDHUP, if requested", () => {
    using ends = Ends.tcp();
    ends.there.close();
    until(ends.here, EPOLLRDHUP);
    expect(masks(ends.here, EPOLLIN)).toEqual([1]);
    expect(masks(ends.here, EPOLLIN | EPOLLRDHUP)).toEqual([8193]);
    expect(masks(ends.here, 0)).toEqual([]);
  });

  test("both directions shut down here: EPOLLHUP immediately", () => {
    using ends = Ends.tcp();
    using epoll = new Epoll();
    epoll.register(ends.here, 0);
    ends.here.shutdown(SHUT_RDWR);
    expect(epoll.poll(0)).toEqual([[ends.here.fileno(), 16]]);
  });

  test("both directions shut down here and the peer closed: EPOLLHUP", () => {
    using ends = Ends.tcp();
    ends.there.close();
    until(ends.here, EPOLLRDHUP);
    ends.here.shutdown(SHUT_RDWR);
    expect(masks(ends.here, 0)).toEqual([16]);
  });

  test("each side shut down writing: EPOLLHUP", () => {
    using ends = Ends.tcp();
    ends.here.shutdown(SHUT_WR);
    expect(masks(ends.here, 0)).toEqual([]);
    ends.there.shutdown(SHUT_WR);
    until(ends.here, EPOLLRDHUP);
    expect(masks(ends.here, 0)).toEqual([16]);
  });

  test("the peer reset the connection: EPOLLERR and EPOLLHUP; shutdown fails with ENOTCONN", () => {
    using ends = Ends.tcp();
    using epoll = new Epoll();
    epoll.register(ends.here, 0);
    ends.reset();
    expect(epoll.poll(WAIT_TIMEOUT_MS)).toEqual([[ends.here.fileno(), 24]]);
    expect(failure(() => ends.here.shutdown(SHUT_RDWR))).toEqual(["ENOTCONN", "shutdown"]);
  });

  test("after recv has failed with ECONNRESET, only EPOLLHUP remains", () => {
    using ends = Ends.tcp();
    ends.reset();
    until(ends.here, 0);
    expect(errnoError(() => ends.here.recv(1)).code).toBe("ECONNRESET");
    expect(masks(ends.here, 0)).toEqual([16]);
  });

  test("end of stream is reported as EPOLLIN until the socket is closed", () => {
    using ends = Ends.tcp();
    using epoll = new Epoll();
    epoll.register(ends.here, EPOLLIN);
    ends.there.close();
    for (let i = 0; i < 5; i++) {
      expect(epoll.poll(WAIT_TIMEOUT_MS)).toEqual([[ends.here.fileno(), 1]]);
      expect(ends.here.recv(1)).toHaveLength(0);
    }
  });

  test("data and end of stream are reported as one EPOLLIN", () => {
    using ends = Ends.tcp();
    ends.there.send("x");
    ends.there.close();
    until(ends.here, EPOLLRDHUP);
    expect(masks(ends.here, EPOLLIN | EPOLLRDHUP)).toEqual([8193]);
    expect(ends.here.recv(10)).toHaveLength(1);
    expect(masks(ends.here, EPOLLIN)).toEqual([1]);
  });

  test("a listening socket is readable when a connection is waiting, and never writable", () => {
    using listener = new Socket();
    using client = new Socket();
    using epoll = new Epoll();
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen();
    epoll.register(listener);
    expect(epoll.poll(0)).toEqual([]);
    client.connect(listener.getsockname());
    expect(reportOf(epoll, listener, WAIT_TIMEOUT_MS)).toBe("EPOLLIN");
    listener.accept()?.socket.close();
    expect(epoll.poll(0)).toEqual([]);
  });

  test("the connection was refused: EPOLLHUP after the error has been read", () => {
    using bound = new Socket();
    using client = new Socket();
    bound.bind({ address: "127.0.0.1", port: 0 });
    expect(connectError(client, bound.getsockname())).toBe("ECONNREFUSED");
    expect(masks(client, 0)).toEqual([16]);
  });

  test("urgent data is EPOLLPRI until it is read", () => {
    using ends = Ends.tcp();
    using epoll = new Epoll();
    epoll.register(ends.here, EPOLLIN | EPOLLPRI);
    ends.there.send("!", MSG_OOB);
    expect(reportOf(epoll, ends.here, WAIT_TIMEOUT_MS)).toBe("EPOLLPRI");
    expect(reportOf(epoll, ends.here)).toBe("EPOLLPRI");
    expect(ends.here.recv(1, MSG_OOB)).toEqual(new Uint8Array([33]));
    expect(reportOf(epoll, ends.here)).toBe("nothing");
  });

  test("urgent data is not reported unless requested", () => {
    using ends = Ends.tcp();
    ends.there.send("!", MSG_OOB);
    until(ends.here, EPOLLPRI);
    expect(masks(ends.here, EPOLLIN)).toEqual([]);
  });

  test("urgent data with SO_OOBINLINE is EPOLLPRI and EPOLLIN", () => {
    using ends = Ends.tcp();
    ends.here.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1);
    ends.there.send("!", MSG_OOB);
    until(ends.here, EPOLLPRI);
    expect(masks(ends.here, EPOLLIN | EPOLLPRI)).toEqual([3]);
  });
});

describe("over a unix stream socket", () => {
  test("the peer shut down writing: EPOLLIN and EPOLLRDHUP, if requested, but not EPOLLHUP", () => {
    using ends = new Ends();
    ends.there.shutdown(SHUT_WR);
    expect(masks(ends.here, EPOLLIN | EPOLLRDHUP)).toEqual([8193]);
    expect(masks(ends.here, 0)).toEqual([]);
  });

  test("EPOLLRDHUP alone reports the end of the stream, but not data", () => {
    using ends = new Ends();
    ends.there.send("x");
    expect(masks(ends.here, EPOLLRDHUP)).toEqual([]);
    ends.there.shutdown(SHUT_WR);
    expect(masks(ends.here, EPOLLRDHUP)).toEqual([8192]);
  });

  test("the peer closed: EPOLLHUP", () => {
    using ends = new Ends();
    ends.there.close();
    expect(masks(ends.here, 0)).toEqual([16]);
    expect(masks(ends.here, EPOLLIN | EPOLLOUT | EPOLLRDHUP)).toEqual([8213]);
  });

  test("the peer closed with data in its receive queue: EPOLLERR and EPOLLHUP", () => {
    using ends = new Ends();
    ends.here.send("never read");
    ends.there.close();
    expect(masks(ends.here, 0)).toEqual([24]);
  });
});

describe("over a FIFO", () => {
  test("the writer closed: EPOLLHUP, with EPOLLIN while there is data", () => {
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

  test("the reader closed: EPOLLERR", () => {
    using fifo = new Fifo();
    using epoll = new Epoll();
    epoll.register(fifo.writer, 0);
    expect(reportOf(epoll, fifo.writer)).toBe("nothing");
    fifo.reader.close();
    expect(reportOf(epoll, fifo.writer)).toBe("EPOLLERR");
  });
});

test("requesting EPOLLERR and EPOLLHUP changes nothing", () => {
  using ends = new Ends();
  expect(masks(ends.here, EPOLLERR | EPOLLHUP)).toEqual([]);
  ends.there.close();
  expect(masks(ends.here, EPOLLERR | EPOLLHUP)).toEqual([16]);
});
