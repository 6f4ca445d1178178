// WebSockets of serve(), beside Bun.serve: upgrades in fetch and in routes, publish, and handlers that reload replaces.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { serve } from "../../src/index.ts";
import { ask } from "./support/ask.ts";

setDefaultTimeout(60_000);

type AnyServer = Bun.Server<unknown>;
type Options = Bun.Serve.Options<unknown, string>;

const running: AnyServer[] = [];
afterEach(() => Promise.all(running.splice(0).map((server) => server.stop(true))));

/** Runs the same steps with both servers, and expects the same result. */
function same(title: string, steps: (start: (options: object) => AnyServer) => Promise<unknown>): void {
  test(title, async () => {
    const results: unknown[] = [];
    for (const start of [serve, Bun.serve] as ((options: Options) => AnyServer)[]) {
      const started = (options: object): AnyServer => {
        const server = start({ hostname: "127.0.0.1", port: 0, development: false, ...options } as Options);
        running.push(server);
        return server;
      };
      results.push(await steps(started));
    }
    expect(results[0]).toEqual(results[1] as never);
    expect(results[0]).toBeDefined();
  });
}

/** A client that has connected. */
class Client {
  readonly #socket: WebSocket;
  readonly #messages: unknown[] = [];
  #wake: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.#messages.push(data);
      this.#wake();
    });
  }

  static async connect(server: AnyServer, target: string): Promise<Client> {
    const socket = new WebSocket(new URL(target, server.url).href.replace(/^http/, "ws"));
    const client = new Client(socket);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
    await promise;
    return client;
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  /** Waits for the next message. */
  async next(): Promise<unknown> {
    while (this.#messages.length === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    return this.#messages.shift();
  }

  close(): void {
    this.#socket.close();
  }
}

const echo = {
  message(ws: Bun.ServerWebSocket<unknown>, message: string | Buffer): void {
    ws.send(`${JSON.stringify(ws.data)} ${String(message)}`);
  },
};

same("upgrades in fetch, with data", async (start) => {
  const server = start({
    fetch(request: Request, own: AnyServer) {
      if (own.upgrade(request, { data: { path: new URL(request.url).pathname } })) return;
      return new Response("not an upgrade", { status: 400 });
    },
    websocket: echo,
  });
  const client = await Client.connect(server, "/chat");
  client.send("hello");
  const received = await client.next();
  const pending = server.pendingWebSockets;
  client.close();
  return [received, pending, await ask(server.port as number, "GET", "/")];
});

same("upgrades in a route, with its parameters and cookies", async (start) => {
  const server = start({
    routes: {
      "/rooms/:room": (request: Bun.BunRequest<"/rooms/:room">, own: AnyServer) => {
        request.cookies.set("room", request.params.room);
        if (!own.upgrade(request, { data: request.params, headers: { "X-Own": "1" } })) return new Response("no");
      },
    },
    websocket: echo,
  });
  const client = await Client.connect(server, "/rooms/a%20b");
  client.send("hello");
  const received = await client.next();
  client.close();
  const handshake = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const answered = upgradeHead(server.port as number, "/rooms/1", handshake);
  return [received, await answered];
});

/** Returns the status and the fields of interest of the response to an upgrade request. */
async function upgradeHead(port: number, target: string, headers: Record<string, string>): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (opened) => void opened.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n${fields.join("")}\r\n`),
      data: (_, bytes) => resolve(String(bytes)),
    },
  });
  const head = await promise;
  socket.end();
  const names = ["x-own", "set-cookie", "sec-websocket-accept", "upgrade"];
  const lines = head.split("\r\n");
  return [
    lines[0]?.slice(0, 12),
    names.map((name) => lines.find((line) => line.toLowerCase().startsWith(`${name}:`))?.replace(/^[^:]+/, name)),
  ];
}

same("publishes to the subscribers of a topic", async (start) => {
  const server = start({
    fetch: (request: Request, own: AnyServer) => void own.upgrade(request, { data: undefined }),
    websocket: {
      open: (ws: Bun.ServerWebSocket<unknown>) => void ws.subscribe("news"),
      message: (ws: Bun.ServerWebSocket<unknown>) => void ws.send("subscribed"),
    },
  });
  const clients = await Promise.all([Client.connect(server, "/"), Client.connect(server, "/")]);
  for (const client of clients) client.send("?");
  for (const client of clients) await client.next();
  const counts = [
    server.subscriberCount("news"),
    server.subscriberCount("none"),
    server.publish("none", "x"),
    server.publish("news", "12345"),
  ];
  const received = await Promise.all(clients.map((client) => client.next()));
  for (const client of clients) client.close();
  return [counts, received];
});

same("reload replaces the handlers, also of WebSockets that are open", async (start) => {
  const fetch = (request: Request, own: AnyServer): void => void own.upgrade(request, { data: undefined });
  const say = (text: string) => ({ message: (ws: Bun.ServerWebSocket<unknown>) => void ws.send(text) });
  const server = start({ fetch, websocket: say("old") });
  const client = await Client.connect(server, "/");
  client.send("?");
  const before = await client.next();
  server.reload({ fetch, websocket: say("new") } as unknown as Options);
  client.send("?");
  const after = await client.next();
  client.close();
  return [before, after];
});

same("without the option, upgrade throws and publish sends nothing", async (start) => {
  const server = start({ fetch: () => new Response() });
  let thrown: unknown;
  try {
    server.upgrade(new Request(server.url.href), { data: undefined });
  } catch (error) {
    thrown = error;
  }
  return [
    String((thrown as Error).message).includes('the "websocket"'),
    server.publish("a", "b"),
    server.subscriberCount("a"),
    server.pendingWebSockets,
  ];
});
