// The listening sockets of all workers. The supervisor keeps them open, so that no connection is lost when a worker exits.

import type { Address } from "../kernel/address.ts";
import { SO_REUSEPORT, SOL_SOCKET } from "../kernel/constants.ts";
import { invalidValue } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { type Listener, openListeners, urlOf } from "../server/listeners.ts";
import type { EpollServerOptions } from "../server/options.ts";
import { resolveOptions, type ResolvedOptions } from "../server/resolve-options.ts";

/**
 * How connections are distributed to workers. `"shared"`: all workers wait on one accept queue, and an idle one accepts the
 * next connection. `"reuseport"`: each worker has its own accept queue (SO_REUSEPORT), and the kernel chooses one by hashing
 * the addresses.
 */
export type Balance = "shared" | "reuseport";

export class ListenSockets {
  readonly balance: Balance;
  readonly addresses: readonly Address[];
  readonly url: string;
  /** The sockets of each accept queue: one for each address. */
  readonly #queues: readonly (readonly Listener[])[];

  private constructor(balance: Balance, queues: Listener[][], settings: ResolvedOptions) {
    this.balance = balance;
    this.#queues = queues;
    this.addresses = (queues[0] as Listener[]).map(({ address }) => address);
    this.url = urlOf(this.addresses[0] as Address, settings);
  }

  /**
   * Opens the listening sockets.
   *
   * @param options the address options of EpollServer
   * @throws what EpollServer throws for these options
   */
  static open(options: EpollServerOptions, workers: number, balance: Balance): ListenSockets {
    const settings = resolveOptions(options);
    const first = openListeners(syscalls(), settings);
    const queues = [first];
    try {
      if (balance === "reuseport") {
        // Set after bind(2): with SO_REUSEPORT set before, bind would silently share the port with another server.
        for (const { socket } of first) socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1);
        while (queues.length < workers) queues.push(openDuplicates(first, settings));
      }
      return new ListenSockets(balance, queues, settings);
    } catch (error) {
      for (const listener of queues.flat()) listener.close();
      throw error;
    }
  }

  /** Returns the fds of a worker's listening sockets. */
  fdsFor(worker: number): number[] {
    return (this.#queues[worker % this.#queues.length] as Listener[]).map(({ socket }) => socket.fileno());
  }

  /** Closes the sockets in this process; workers that inherited them still accept. Idempotent. */
  close(): void {
    for (const listener of this.#queues.flat()) listener.close();
  }
}

/** Opens another socket at each address of `first`. */
function openDuplicates(first: readonly Listener[], settings: ResolvedOptions): Listener[] {
  const opened: Listener[] = [];
  try {
    for (const { address } of first) {
      if (!("address" in address)) throw invalidValue("reuseport needs a TCP port; a unix socket has one accept queue");
      const options = { ...settings, hostname: address.address, port: address.port, reusePort: true };
      opened.push(...openListeners(syscalls(), options));
    }
    return opened;
  } catch (error) {
    for (const listener of opened) listener.close();
    throw error;
  }
}
