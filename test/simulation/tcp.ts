// Simulated TCP sockets, as tcp(7) describes them and Linux implements them: finite queues, FIN, RST, and their events.

import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDBAND,
  EPOLLRDHUP,
  EPOLLRDNORM,
  EPOLLWRBAND,
  EPOLLWRNORM,
} from "../../src/kernel/constants.ts";
import { EAGAIN, ECONNRESET, EINVAL, ENOTCONN, EPIPE } from "../../src/kernel/errno.ts";
import { SimFile } from "./file.ts";

/** The keys with which Linux wakes the waiters of a socket. A waiter whose mask has none of these bits is not woken. */
const DATA_READY = EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND;
const WRITE_SPACE = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
/** Wakes everyone: sock_def_wakeup passes no key. */
const STATE_CHANGE = 0;

const RCV_SHUTDOWN = 1;
const SEND_SHUTDOWN = 2;

/**
 * One direction of a connection, as one ring of bytes with three positions: what the sender has written, what has reached the
 * receiver, and what the receiver has read. The bytes between the first two are the send queue; those between the last two, the
 * receive queue.
 */
export class Pipe {
  readonly #ring: Uint8Array;
  readonly #indexMask: number;
  readonly sendBytes: number;
  readonly receiveBytes: number;
  written = 0;
  delivered = 0;
  read = 0;
  /** A FIN follows the last byte. */
  hasFin = false;
  isFinDelivered = false;
  /** A RST is on its way; it overtakes the bytes that were not delivered. */
  hasReset = false;

  constructor(sendBytes: number, receiveBytes: number) {
    let size = 64;
    while (size < sendBytes + receiveBytes) size *= 2;
    this.#ring = new Uint8Array(size);
    this.#indexMask = size - 1;
    this.sendBytes = sendBytes;
    this.receiveBytes = receiveBytes;
  }

  get unsent(): number {
    return this.written - this.delivered;
  }

  get unread(): number {
    return this.delivered - this.read;
  }

  /** Whether anything is on its way. */
  get isBusy(): boolean {
    return (
      this.hasReset ||
      (this.unsent > 0 && this.unread < this.receiveBytes) ||
      (this.hasFin && !this.isFinDelivered && this.unsent === 0)
    );
  }

  write(bytes: Uint8Array, offset: number, length: number): void {
    const ring = this.#ring;
    const at = this.written & this.#indexMask;
    const first = Math.min(length, ring.length - at);
    ring.set(bytes.subarray(offset, offset + first), at);
    if (first < length) ring.set(bytes.subarray(offset + first, offset + length), 0);
    this.written += length;
  }

  readInto(bytes: Uint8Array, offset: number, length: number): void {
    const ring = this.#ring;
    const at = this.read & this.#indexMask;
    const first = Math.min(length, ring.length - at);
    bytes.set(ring.subarray(at, at + first), offset);
    if (first < length) bytes.set(ring.subarray(0, length - first), offset + first);
    this.read += length;
  }

  /** Drops the send queue: of the sender or, after a RST, of the network. */
  purge(): void {
    this.written = this.delivered;
    this.hasFin = this.isFinDelivered;
  }
}

export class TcpSocket extends SimFile {
  readonly in: Pipe;
  readonly out: Pipe;
  peer!: TcpSocket;
  /** The address of the peer, as accept4 reports it: the IPv4 address as a little-endian number, and the port. */
  peerAddress = 0;
  peerPort = 0;
  /** sk_err: the error that the next call returns. */
  error = 0;
  /** sk_shutdown. */
  shutdownMask = 0;
  /** The state is TCP_CLOSE. */
  isDead = false;
  hasSentFin = false;
  hasReceivedFin = false;
  /** The fd is closed. */
  isOrphan = false;
  /** SO_LINGER with a time of 0: close sends a RST. */
  resetsOnClose = false;
  /** SOCK_NOSPACE: a sender waits for room. */
  #wantsSpace = false;

  private constructor(input: Pipe, output: Pipe) {
    super();
    this.in = input;
    this.out = output;
  }

  static connected(toServer: Pipe, toClient: Pipe): [client: TcpSocket, server: TcpSocket] {
    const client = new TcpSocket(toClient, toServer);
    const server = new TcpSocket(toServer, toClient);
    client.peer = server;
    server.peer = client;
    return [client, server];
  }

  // ---- the calls of the owner ----

  recv(bytes: Uint8Array, offset: number, length: number): number {
    const { unread } = this.in;
    if (unread > 0) {
      const n = Math.min(unread, length);
      this.in.readInto(bytes, offset, n);
      return n;
    }
    if (this.hasReceivedFin) return 0; // SOCK_DONE comes before sk_err
    if (this.error !== 0) return this.#takeError();
    if ((this.shutdownMask & RCV_SHUTDOWN) !== 0) return 0;
    return this.isDead ? -ENOTCONN : -EAGAIN;
  }

  send(bytes: Uint8Array, offset: number, length: number): number {
    if (this.error !== 0) return this.#takeError();
    if (this.isDead || (this.shutdownMask & SEND_SHUTDOWN) !== 0) return -EPIPE;
    const n = Math.min(length, this.out.sendBytes - this.out.unsent);
    if (n < length) this.#wantsSpace = true;
    if (n <= 0) return -EAGAIN;
    this.out.write(bytes, offset, n);
    return n;
  }

  shutdown(how: number): number {
    const mask = how + 1; // SHUT_RD, SHUT_WR and SHUT_RDWR are 0, 1 and 2
    if (how < 0 || how > 2) return -EINVAL;
    if (this.isDead) return (this.wake(STATE_CHANGE), -ENOTCONN);
    this.shutdownMask |= mask;
    if ((mask & SEND_SHUTDOWN) !== 0) this.#sendFin();
    this.wake(STATE_CHANGE);
    return 0;
  }

  takeErrorOption(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }

  /** The last fd was closed. */
  override release(): void {
    this.shutdownMask = RCV_SHUTDOWN | SEND_SHUTDOWN;
    this.isOrphan = true;
    if (this.isDead) return;
    if (this.in.unread > 0 || this.resetsOnClose) {
      const isOver = this.hasSentFin && this.hasReceivedFin && this.out.isFinDelivered;
      this.isDead = true;
      this.out.purge();
      if (!isOver) this.out.hasReset = true;
    } else {
      this.#sendFin();
    }
  }

  override poll(): number {
    const { shutdownMask } = this;
    let mask = 0;
    if (shutdownMask === (RCV_SHUTDOWN | SEND_SHUTDOWN) || this.isDead) mask |= EPOLLHUP;
    if ((shutdownMask & RCV_SHUTDOWN) !== 0) mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
    if (this.in.unread > 0) mask |= EPOLLIN | EPOLLRDNORM;
    if ((shutdownMask & SEND_SHUTDOWN) !== 0 || this.#isWritable) mask |= EPOLLOUT | EPOLLWRNORM;
    else this.#wantsSpace = true;
    if (this.error !== 0) mask |= EPOLLERR;
    return mask;
  }

  /** sk_stream_is_writeable: a third of the send buffer is free. */
  get #isWritable(): boolean {
    return this.out.sendBytes - this.out.unsent >= this.out.unsent >> 1;
  }

  #takeError(): number {
    const { error } = this;
    this.error = 0;
    return -error;
  }

  #sendFin(): void {
    if (this.hasSentFin) return;
    this.hasSentFin = true;
    this.out.hasFin = true;
  }

  // ---- the network ----

  /** Delivers up to `most` bytes of what this socket has sent, and then the FIN or the RST. Returns whether anything moved. */
  transmit(most: number = Infinity): boolean {
    const { out, peer } = this;
    if (out.hasReset) {
      out.hasReset = false;
      peer.#onReset();
      return true;
    }
    let moved = false;
    const n = Math.min(out.unsent, out.receiveBytes - out.unread, most);
    if (n > 0) {
      if (peer.isDead || peer.isOrphan || (peer.hasSentFin && (peer.shutdownMask & RCV_SHUTDOWN) !== 0)) {
        // Data for a socket that receives no more: a RST answers it (RFC 1122, 4.2.2.13), and kills both ends.
        peer.#onReset();
        this.#onReset();
        return true;
      }
      out.delivered += n;
      peer.wake(DATA_READY);
      this.#onSpace();
      moved = true;
    }
    if (out.hasFin && !out.isFinDelivered && out.unsent === 0 && n < most) {
      out.isFinDelivered = true;
      peer.#onFin();
      this.#onFinAcknowledged();
      moved = true;
    }
    return moved;
  }

  #onSpace(): void {
    if (!this.#wantsSpace || !this.#isWritable) return;
    this.#wantsSpace = false;
    this.wake(WRITE_SPACE);
  }

  #onFin(): void {
    if (this.isDead) return;
    this.hasReceivedFin = true;
    this.shutdownMask |= RCV_SHUTDOWN;
    this.wake(STATE_CHANGE);
    if (this.hasSentFin && this.out.isFinDelivered) this.#die(); // TIME_WAIT
  }

  #onFinAcknowledged(): void {
    if (this.isDead) return;
    if (this.hasReceivedFin) this.#die();
    else this.wake(STATE_CHANGE); // FIN_WAIT2
  }

  #onReset(): void {
    if (this.isDead) return;
    this.error = this.hasReceivedFin && !this.hasSentFin ? EPIPE : ECONNRESET;
    this.out.purge();
    this.#die();
    this.wake(EPOLLERR);
  }

  #die(): void {
    this.isDead = true;
    this.shutdownMask = RCV_SHUTDOWN | SEND_SHUTDOWN;
    this.wake(STATE_CHANGE);
  }
}

export class Listener extends SimFile {
  readonly port: number;
  backlog: TcpSocket[] = [];
  /** TCP_DEFER_ACCEPT: connections without data wait here for up to a second. */
  deferred: { socket: TcpSocket; untilMs: number }[] = [];
  defers = false;

  constructor(port: number) {
    super();
    this.port = port;
  }

  add(socket: TcpSocket): void {
    this.backlog.push(socket);
    this.wake(DATA_READY);
  }

  /** Moves the connections that need not wait for data any longer to the backlog. */
  promote(nowMs: number): void {
    if (this.deferred.length === 0) return;
    this.deferred = this.deferred.filter((entry) => {
      const { socket, untilMs } = entry;
      if (socket.isDead) return false; // reset before it was accepted: the kernel has dropped it
      if (nowMs < untilMs && socket.in.unread === 0 && !socket.hasReceivedFin) return true;
      this.add(socket);
      return false;
    });
  }

  override poll(): number {
    return this.backlog.length > 0 ? EPOLLIN | EPOLLRDNORM : 0;
  }

  override release(): void {
    for (const socket of [...this.backlog, ...this.deferred.map(({ socket }) => socket)]) {
      socket.resetsOnClose = true;
      socket.release();
    }
    this.backlog = [];
    this.deferred = [];
  }
}
