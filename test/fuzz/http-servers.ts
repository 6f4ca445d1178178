// The three servers of the differential test, over real sockets: EpollServer, Bun.serve, and node:http in Node.js.

import { join } from "node:path";
import { EpollServer } from "../../src/index.ts";
import { endAfterTest } from "../support/programs.ts";
import type { Other, Outcome, Seen } from "./http-differences.ts";

/** A last request, which is answered only if the bytes before it were complete requests. */
const SENTINEL = "/sentinel";
export const LAST: string = `GET ${SENTINEL} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;

export interface Servers {
  readonly log: Log;
  readonly ports: Readonly<Record<"epoll" | Other, number>>;
  stop(): Promise<void>;
}

/** The requests that the handlers have seen, by server and by the port of the client. */
class Log {
  readonly #seen = new Map<string, Seen[]>();

  add(server: string, port: number, seen: Seen): void {
    const key = `${server} ${port}`;
    const all = this.#seen.get(key);
    if (all === undefined) this.#seen.set(key, [seen]);
    else all.push(seen);
  }

  take(server: string, port: number): Seen[] {
    const key = `${server} ${port}`;
    const all = this.#seen.get(key) ?? [];
    this.#seen.delete(key);
    return all;
  }
}

async function record(log: Log, server: string, request: Request, port: number): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const body = Buffer.from(await request.arrayBuffer()).toString("latin1");
  log.add(server, port, { method: request.method, target: pathname + search, body });
  return new Response("ok");
}

/** Starts the servers. */
export async function startServers(hasNode: boolean): Promise<Servers> {
  const log = new Log();
  const onError = (): Response => new Response("error", { status: 500 });
  const epoll = new EpollServer({
    hostname: "127.0.0.1",
    fetch: (request, server) => record(log, "epoll", request, server.requestIP(request)?.port ?? 0),
    onError,
  });
  await epoll.start();
  const bun = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, server) => record(log, "bun", request, server.requestIP(request)?.port ?? 0),
    error: onError,
  });
  const node = hasNode ? await startNode(log) : undefined;
  return {
    log,
    ports: { epoll: epoll.port as number, bun: bun.port as number, node: node?.port ?? 0 },
    async stop() {
      await Promise.all([node?.stop(), bun.stop(true), epoll.stop({ graceMs: 0 })]);
    },
  };
}

async function startNode(log: Log): Promise<{ port: number; stop(): Promise<unknown> }> {
  const script = join(import.meta.dir, "node-server.mjs");
  const child = endAfterTest(Bun.spawn(["node", script], { stdin: "pipe", stdout: "pipe", stderr: "inherit" }));
  const listening = Promise.withResolvers<number>();
  const read = async (): Promise<void> => {
    let rest = "";
    for await (const chunk of child.stdout) {
      const lines = (rest + Buffer.from(chunk).toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const value = JSON.parse(line) as number | { port: number; seen: Seen };
        if (typeof value === "number") listening.resolve(value);
        else log.add("node", value.port, value.seen);
      }
    }
  };
  void read();
  const port = await listening.promise;
  return {
    port,
    stop() {
      void child.stdin.end();
      return child.exited;
    },
  };
}

/** Sends bytes to a server, and returns what it has done with them once it closes the connection, or is quiet. */
export async function outcomeOf(
  { log, ports }: Servers,
  server: "epoll" | Other,
  bytes: string,
  cuts: readonly number[],
  quietMs: number,
): Promise<Outcome> {
  const { promise: closed, resolve: onClose } = Promise.withResolvers<void>();
  let received = "";
  let isClosed = false;
  let lastMs = performance.now();
  const all = Buffer.from(bytes + LAST, "latin1");
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: ports[server],
    socket: {
      data(_, data) {
        received += data.toString("latin1");
        lastMs = performance.now();
      },
      error() {},
      close() {
        isClosed = true;
        onClose();
      },
    },
  });
  const port = client.localPort;
  client.setNoDelay(true);
  let start = 0;
  for (const end of [...cuts.map((cut) => Math.floor(cut * all.length)).sort((a, b) => a - b), all.length]) {
    if (end <= start || isClosed) continue;
    client.write(all.subarray(start, end));
    start = end;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  while (!isClosed && performance.now() - lastMs < quietMs) await Promise.race([closed, Bun.sleep(quietMs / 4)]);
  if (!isClosed) client.terminate();
  await Bun.sleep(server === "node" ? quietMs / 4 : 0); // its log is a pipe
  const seen = log.take(server, port);
  const statuses = [...received.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
  const rejection = statuses.find((status) => status >= 400);
  const isAnswered = seen.at(-1)?.target === SENTINEL;
  return { seen, rejection, end: isAnswered ? "answered" : isClosed ? "closed" : "waiting" };
}
