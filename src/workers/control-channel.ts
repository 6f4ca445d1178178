// What a supervisor and a worker say to each other: one JSON text a packet, over a pair of unix sockets that ends with either of them.

import { AF_UNIX, EPOLLOUT, SOCK_SEQPACKET } from "../kernel/constants.ts";
import { Epoll } from "../io/epoll.ts";
import { ErrnoError } from "../kernel/errors.ts";
import { Socket, socketpair } from "../io/socket.ts";
import { WOULD_BLOCK } from "../io/transfer.ts";
import type { Totals } from "./totals.ts";

/** What a worker says: that it serves, and what it has done so far. */
export type WorkerMessage = { kind: "serving" } | { kind: "counts"; counts: Totals; isAnswer: boolean };

/** What a supervisor asks for: to finish, as `EpollServer.stop` is told, or to be told the counts. */
export type WorkerCommand = { kind: "finish"; graceMs: number; idleMs: number } | { kind: "count" };

const PACKET_BYTES = 4096;

export class ControlChannel<Said, Heard> {
  readonly #socket: Socket;
  /** The other side is gone. */
  isOver: boolean = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The supervisor's end, and the descriptor of the worker's. */
  static pair(): [ControlChannel<WorkerCommand, WorkerMessage>, Socket] {
    const [ours, theirs] = socketpair(AF_UNIX, SOCK_SEQPACKET);
    return [new ControlChannel(ours), theirs];
  }

  fileno(): number {
    return this.#socket.fileno();
  }

  /** Say it if the other side has room for it; one that hears nothing is not waited for, unless for so long. */
  say(message: Said, patienceMs = 0): void {
    if (this.isOver) return;
    const text = JSON.stringify(message);
    try {
      if (this.#socket.send(text) !== WOULD_BLOCK || patienceMs === 0) return;
      const epoll = new Epoll();
      try {
        epoll.register(this.#socket, EPOLLOUT);
        if (epoll.poll(patienceMs, 1).length > 0) this.#socket.send(text);
      } finally {
        epoll.close();
      }
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error; // EPIPE, ECONNRESET: the end shows when it is heard
    }
  }

  /** All that was said since. */
  hear(): Heard[] {
    const heard: Heard[] = [];
    let isReset = false;
    while (!this.isOver) {
      let packet: Uint8Array | null;
      try {
        packet = this.#socket.recv(PACKET_BYTES);
      } catch (error) {
        // ECONNRESET: the other side has ended without hearing all. Told once, and before what it had said itself: read on.
        if (!(error instanceof ErrnoError)) throw error;
        this.isOver = isReset;
        isReset = true;
        continue;
      }
      if (packet === null) break;
      if (packet.length === 0) this.isOver = true;
      else heard.push(JSON.parse(new TextDecoder().decode(packet)) as Heard);
    }
    return heard;
  }

  close(): void {
    this.isOver = true;
    this.#socket.close();
  }
}
