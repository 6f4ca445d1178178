// The server of a soak: one process, on several loopback addresses. Its argument is JSON, and it prints lines of JSON.

import { heapStats } from "bun:jsc";
import { openSync, writeSync } from "node:fs";
import {
  AF_INET,
  EpollServer,
  type InternetAddress,
  SOCK_STREAM,
  Socket,
  SO_REUSEADDR,
  SOL_SOCKET,
} from "../../src/index.ts";
import { killWithParent } from "../support/kill-with-parent.ts";
import { bodyOf, receiptOf } from "./pattern.ts";

export interface SoakServerOptions {
  /** The loopback addresses to listen on, all with the same port. */
  addresses: string[];
  /** `"start"`: on Bun's event loop. `"run"`: the thread blocks in epoll_wait. */
  loop: "start" | "run";
  /** The file that `/file` responds with. */
  file: string;
  sampleMs: number;
  /** How often quiet streams and the subscribed WebSockets get a message. */
  broadcastMs: number;
  /** A fault to plant, to see that the soak detects it. */
  plant: Plant | undefined;
}

export const PLANTS = ["fds", "heap", "replies"] as const;
export type Plant = (typeof PLANTS)[number];

/** A line of the server's output. */
export type SoakServerMessage =
  | { serving: { port: number } }
  | { sample: { open: number; requests: number; heapBytes: number; objects: number } }
  | { ended: { open: number; requests: number; accepted: number; rejected: number; timeouts: number; errors: number } }
  | { warning: string };

/** How many requests make one of them suffer a planted fault. */
const PLANT_EVERY = 50;
const TOPIC = "all";

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? "{}") as SoakServerOptions);

async function main(options: SoakServerOptions): Promise<void> {
  killWithParent();
  const print = (message: SoakServerMessage): unknown => writeSync(1, `${JSON.stringify(message)}\n`);
  const streams = new Set<ReadableStreamDefaultController<string>>();
  const leaked: unknown[] = [];
  let requests = 0;
  let sequence = 0;
  let sampledMs = performance.now();
  let broadcastMs = performance.now();

  const server = new EpollServer({
    fd: listen(options.addresses),
    fetch: respond,
    websocket: {
      open: (socket) => void (socket.data === "subscribed" && socket.subscribe(TOPIC)),
      message: (socket, message) => void socket.send(message),
    },
    heartbeat: { everyMs: 100, beat },
    onWarning: ({ message }) => print({ warning: message }),
  });
  const onServing = (): unknown => print({ serving: { port: server.port as number } });
  if (options.loop === "run") {
    server.run(onServing);
  } else {
    process.once("SIGTERM", () => void server.stop());
    await server.start();
    onServing();
    await server.stopped;
  }
  const { open, accepted, rejected, timeouts, errors, requests: counted } = server.stats;
  print({ ended: { open, requests: counted, accepted, rejected, timeouts, errors } });

  async function respond(request: Request): Promise<Response | undefined> {
    if (++requests % PLANT_EVERY === 0) plant();
    const { pathname, searchParams } = new URL(request.url);
    const [, kind = "", id = "", bytes = "0"] = pathname.split("/");
    if (kind === "data") {
      const body = bodyOf(id, Number(bytes));
      if (options.plant === "replies" && requests % PLANT_EVERY === 0 && body.length > 0) body[body.length >> 1] = 0;
      return new Response(body);
    }
    if (kind === "upload") return new Response(receiptOf(await request.bytes()));
    if (kind === "file") return new Response(Bun.file(options.file));
    if (kind === "socket") {
      const data = searchParams.get("topic") === null ? "" : "subscribed";
      return server.upgrade(request, { data }) ? undefined : new Response("not a WebSocket", { status: 400 });
    }
    if (kind === "events") return new Response(events(), { headers: { "Content-Type": "text/event-stream" } });
    return new Response("not found", { status: 404 });
  }

  function events(): ReadableStream<string> {
    let controller: ReadableStreamDefaultController<string> | undefined;
    return new ReadableStream<string>({
      start: (each) => {
        controller = each;
        each.enqueue(`id: ${sequence}\n\n`);
        streams.add(each);
      },
      cancel: () => void (controller !== undefined && streams.delete(controller)),
    });
  }

  function beat(): void {
    const now = performance.now();
    if (now - broadcastMs >= options.broadcastMs) {
      broadcastMs = now;
      sequence++;
      for (const stream of streams) stream.enqueue(`id: ${sequence}\n\n`);
      server.publish(TOPIC, String(sequence));
    }
    if (now - sampledMs < options.sampleMs) return;
    sampledMs = now;
    Bun.gc(true); // what is left is in use, or has leaked
    const { heapSize, extraMemorySize, objectCount } = heapStats();
    const { open, requests } = server.stats;
    print({ sample: { open, requests, heapBytes: heapSize + extraMemorySize, objects: objectCount } });
  }

  function plant(): void {
    if (options.plant === "fds") openSync("/dev/null", "r");
    if (options.plant === "heap") leaked.push(Array.from({ length: 2_000 }, (_, i) => ({ i })));
  }
}

function listen(addresses: readonly string[]): number[] {
  let port = 0;
  return addresses.map((address) => {
    const socket = new Socket(AF_INET, SOCK_STREAM);
    socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1);
    socket.bind({ address, port });
    socket.listen(4096);
    ({ port } = socket.getsockname() as InternetAddress);
    return socket.detach();
  });
}
