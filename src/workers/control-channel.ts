// The control channel between a supervisor and a worker: JSON messages, one per packet, over a unix socket pair.

import { AF_UNIX, EPOLLOUT, SOCK_SEQPACKET } from "../kernel/constants.ts";
import { Epoll } from "../io/epoll.ts";
import { ErrnoError } from "../kernel/errors.ts";
import { Socket, socketpair } from "../io/socket.ts";
import { WOULD_BLOCK } from "../io/transfer.ts";
import type { Totals } from "./totals.ts";

/**
 * From a worker: it has started serving; its totals so far, `isReply` in response to a `report` command; or the error because of
 * which it exits. `socket`: it has these handlers instead of HTTP. `tls`: its connections have TLS.
 */
export type WorkerMessage =
  | { kind: "serving"; socket?: true; tls?: true }
  | { kind: "totals"; totals: Totals; isReply: boolean }
  | { kind: "failed"; message: string };

/** From the supervisor: stop, with the options of `EpollServer.stop`, or report the totals now. */
export type WorkerCommand = { kind: "stop"; graceMs: number; idleMs: number } | { kind: "report" };

const MAX_PACKET_BYTES = 4096;

/** One end of a control channel. */
export class ControlChannel<Outgoing, Incoming> {
  readonly #socket: Socket;
  /** Whether the channel is closed, by either side. */
  isClosed: boolean = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Creates a channel. Returns the supervisor's end, and the socket for the worker's end. */
  static pair(): [ControlChannel<WorkerCommand, WorkerMessage>, Socket] {
    const [ours, theirs] = socketpair(AF_UNIX, SOCK_SEQPACKET);
    return [new ControlChannel(ours), theirs];
  }

  fileno(): number {
    return this.#socket.fileno();
  }

  /** Sends a message. If the send queue is still full after `timeoutMs`, the message is dropped. */
  send(message: Outgoing, timeoutMs = 0): void {
    if (this.isClosed) return;
    const text = JSON.stringify(message);
    try {
      if (this.#socket.send(text) !== WOULD_BLOCK || timeoutMs === 0) return;
      const epoll = new Epoll();
      try {
        epoll.register(this.#socket, EPOLLOUT);
        if (epoll.poll(timeoutMs, 1).length > 0) this.#socket.send(text);
      } finally {
        epoll.close();
      }
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error; // EPIPE, ECONNRESET: `receive` detects the end of the channel
    }
  }

  /** Returns all messages that have arrived. */
  receive(): Incoming[] {
    const messages: Incoming[] = [];
    let isReset = false;
    while (!this.isClosed) {
      let packet: Uint8Array | null;
      try {
        packet = this.#socket.recv(MAX_PACKET_BYTES);
      } catch (error) {
        // ECONNRESET: the peer exited with messages of ours unread. The kernel reports it once, and before the peer's own
        // messages, so read on.
        if (!(error instanceof ErrnoError)) throw error;
        this.isClosed = isReset;
        isReset = true;
        continue;
      }
      if (packet === null) break;
      if (packet.length === 0) this.isClosed = true;
      else messages.push(JSON.parse(new TextDecoder().decode(packet)) as Incoming);
    }
    return messages;
  }

  close(): void {
    this.isClosed = true;
    this.#socket.close();
  }
}
