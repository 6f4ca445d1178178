// An EpollServer in another process, where run() blocks as it does in production, observed through /proc.

import type { Address, ServerStats, StopSignal } from "../../src/index.ts";
import { MessageProcess } from "./message-process.ts";
import type { ServeOptions } from "./serve.ts";

/** The messages of serve.ts, by their first key. */
interface Messages {
  serving: { serving: Address[] };
  warning: { warning: string; message: string };
  ended: { ended: StopSignal | null; stats: ServerStats; before: string[]; after: string[]; listenerCalls: number };
  threw: { threw: string; closed: boolean; stats: ServerStats; before: string[]; after: string[] };
}

export class ServerProcess extends MessageProcess<Messages> {
  addresses: Address[] = [];

  private constructor(serve: ServeOptions, maxFds: number | undefined) {
    super("serve.ts", serve, maxFds);
  }

  /** Starts the process, and waits until the server accepts connections. */
  static async start(
    options: ServeOptions["options"] = {},
    { maxFds, ...serve }: ServeOptions & { maxFds?: number } = {},
  ): Promise<ServerProcess> {
    const listen = options.unix === undefined ? { hostname: "127.0.0.1" } : {};
    const server = new ServerProcess({ ...serve, options: { ...listen, ...options } }, maxFds);
    server.addresses = (await server.waitFor("serving")).serving;
    return server;
  }

  get address(): Address {
    return this.addresses[0] as Address;
  }

  get port(): number {
    return (this.address as { port: number }).port;
  }

  /** Resolves to the exit code. */
  get exited(): Promise<number> {
    return this.child.exited;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Stops the server with a signal, and returns its last message. */
  async stop(signal: StopSignal = "SIGTERM"): Promise<Messages["ended"]> {
    this.kill(signal);
    return this.waitFor("ended");
  }
}
