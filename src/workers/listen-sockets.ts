// Where workers listen: the sockets that the supervisor keeps open, so that none of it is lost with a worker.

import type { Address } from "../kernel/address.ts";
import { SO_REUSEPORT, SOL_SOCKET } from "../kernel/constants.ts";
import { syscalls } from "../kernel/ffi.ts";
import { type Listener, openListeners, urlOf } from "../server/listeners.ts";
import type { EpollServerOptions } from "../server/options.ts";
import { resolveOptions, type ResolvedOptions } from "../server/resolve-options.ts";

/**
 * How connections come to workers. `"shared"`: all wait on one queue, and who is free takes the next one.
 * `"reuseport"`: each has a queue of its own, and the kernel chooses by a hash of the addresses (SO_REUSEPORT).
 */
export type Balance = "shared" | "reuseport";

export class ListenSockets {
  readonly balance: Balance;
  readonly addresses: readonly Address[];
  readonly url: string;
  /** For each queue, its sockets: one for each address. */
  readonly #queues: readonly (readonly Listener[])[];

  private constructor(balance: Balance, queues: Listener[][], settings: ResolvedOptions) {
    this.balance = balance;
    this.#queues = queues;
    this.addresses = (queues[0] as Listener[]).map(({ address }) => address);
    this.url = urlOf(this.addresses[0] as Address, settings);
  }

  /**
   * Listen.
   *
   * @param options those of EpollServer that say where
   * @throws what EpollServer throws, whose options they are
   */
  static open(options: EpollServerOptions, workers: number, balance: Balance): ListenSockets {
    const settings = resolveOptions(options);
    const first = openListeners(syscalls(), settings);
    const queues = [first];
    try {
      if (balance === "reuseport") {
        // Only now: a first one with SO_REUSEPORT would be let in beside another server's, and nobody hear of it.
        for (const { socket } of first) socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1);
        while (queues.length < workers) queues.push(again(first, settings));
      }
      return new ListenSockets(balance, queues, settings);
    } catch (error) {
      for (const listener of queues.flat()) listener.close();
      throw error;
    }
  }

  /** The listening sockets for one of the workers. */
  fdsFor(worker: number): number[] {
    return (this.#queues[worker % this.#queues.length] as Listener[]).map(({ socket }) => socket.fileno());
  }

  /** Let go of it; workers that have inherited the sockets still serve there. Twice is fine. */
  close(): void {
    for (const listener of this.#queues.flat()) listener.close();
  }
}

/** Another socket at each of the addresses. */
function again(first: readonly Listener[], settings: ResolvedOptions): Listener[] {
  const open: Listener[] = [];
  try {
    for (const { address } of first) {
      if (!("address" in address)) throw new RangeError("only ports have several queues (reuseport)");
      const one = { ...settings, hostname: address.address, port: address.port, reusePort: true };
      open.push(...openListeners(syscalls(), one));
    }
    return open;
  } catch (error) {
    for (const listener of open) listener.close();
    throw error;
  }
}
