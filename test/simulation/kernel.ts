// The simulated kernel: processes with fds, TCP connections between them, regular files, and the clock.

import type { Clock } from "../../src/kernel/clock.ts";
import { Listener, Pipe, TcpSocket } from "./tcp.ts";

export class SimKernel {
  /** The simulated time in milliseconds. */
  nowMs = 1_000_000;
  readonly clock: Clock = { now: () => this.nowMs, wall: () => Date.UTC(2026, 0, 1) + this.nowMs };
  readonly listeners: Map<number, Listener> = new Map<number, Listener>();
  /** The sizes of regular files by path. */
  readonly files: Map<string, number> = new Map<string, number>();
  /** Whether whatever is sent arrives at once, as on the loopback interface. Otherwise `transmit` has to be called. */
  isImmediate = false;
  sendBytes = 65_536;
  receiveBytes = 65_536;
  #nextPort = 40_000;

  takePort(): number {
    return this.#nextPort++;
  }

  /** Connects to a listening port. Returns the client's end; undefined if nothing listens there. */
  connect(
    port: number,
    address = 0x0100007f,
    sizes: { sendBytes: number; receiveBytes: number; clientSendBytes?: number; clientReceiveBytes?: number } = this,
  ): TcpSocket | undefined {
    const listener = this.listeners.get(port);
    if (listener === undefined) return undefined;
    const toServer = new Pipe(sizes.clientSendBytes ?? sizes.sendBytes, sizes.receiveBytes);
    const toClient = new Pipe(sizes.sendBytes, sizes.clientReceiveBytes ?? sizes.receiveBytes);
    const [client, server] = TcpSocket.connected(toServer, toClient);
    server.peerAddress = address;
    server.peerPort = this.takePort();
    if (listener.defers) listener.deferred.push({ socket: server, untilMs: this.nowMs + 1000 });
    else listener.add(server);
    return client;
  }
}
