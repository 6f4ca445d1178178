// An EpollServer with fetch handlers in its own process, for tests with real clients.

import type { InternetAddress, ServerStats } from "../../src/index.ts";
import type { FetchServeOptions } from "./fetch-server-process.ts";
import { MessageProcess } from "./message-process.ts";

/** The final stats, and the errors that the handlers threw, without duplicates. */
export type Ended = ServerStats & { thrown: string[] };

/** The messages of fetch-server-process.ts, by their first key. */
interface Messages {
  serving: { serving: InternetAddress };
  ended: { ended: Ended };
  warning: { warning: string; message: string };
  waiting: { waiting: true };
  aborted: { aborted: true };
}

export class FetchServer extends MessageProcess<Messages> {
  address: InternetAddress = { address: "127.0.0.1", family: "IPv4", port: 0 };

  private constructor(serve: FetchServeOptions) {
    super("fetch-server-process.ts", serve);
  }

  /** Starts the process, and waits until the server accepts connections. */
  static async start({ options, ...serve }: FetchServeOptions = {}): Promise<FetchServer> {
    const server = new FetchServer({ ...serve, options: { hostname: "127.0.0.1", ...options } });
    server.address = (await server.waitFor("serving")).serving;
    return server;
  }

  get port(): number {
    return this.address.port;
  }

  /** `http://127.0.0.1:port` */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Stops the server, and waits until the process has ended. */
  async stop(): Promise<Ended> {
    this.child.kill("SIGTERM");
    const { ended } = await this.waitFor("ended");
    await Promise.all([this.child.exited, this.reading]);
    return ended;
  }
}
