// Handlers under run(), which blocks Bun's event loop: microtasks run, and waiting for anything else is an error.

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  EpollServer,
  type EpollServerOptions,
  type FetchHandler,
  type InternetAddress,
  SHUT_WR,
  Socket,
} from "../../src/index.ts";
import { parseResponses } from "../support/fetch-harness.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

/** Sends requests, runs `run()` until `count` of them are answered, and returns what each client received. */
function served(fetch: FetchHandler, requests: string[], count: number, options: EpollServerOptions = {}): string[] {
  let answered = 0;
  const server = new EpollServer({
    hostname: "127.0.0.1",
    ...options,
    fetch,
    onRequest: () => void (++answered === count && server.stop()),
  });
  const clients = requests.map((text) => {
    const client = new Socket();
    client.connect({ address: "127.0.0.1", port: server.port as number });
    client.send(text);
    client.shutdown(SHUT_WR); // otherwise the server lingers, for a client that can't close while run() blocks
    return client;
  });
  server.run();
  return clients.map((client) => {
    let text = "";
    try {
      for (let bytes; (bytes = client.recv(10_000_000)) !== null && bytes.length > 0;) {
        text += Buffer.from(bytes).toString("latin1");
      }
    } catch (error) {
      text += String(error);
    }
    client.close();
    return text;
  });
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const bodies = (text: string | undefined): string[] => parseResponses(text ?? "").map(({ body }) => body);

test("answers synchronous handlers, async ones, and ones that await many promises, in the same iteration", () =>
  leavesNoFd(() => {
    const handlers: FetchHandler[] = [
      () => new Response("now"),
      async () => new Response("now"),
      async () => {
        for (let i = 0; i < 100; i++) await Promise.resolve(i);
        return new Response("now");
      },
      // oxlint-disable-next-line unicorn/no-thenable -- some libraries return thenables
      () => ({ then: (resolve: (response: Response) => void) => resolve(new Response("now")) }) as never,
    ];
    for (const handler of handlers) {
      const [response] = served(handler, [GET + GET + LAST], 3);
      expect(bodies(response)).toEqual(["now", "now", "now"]);
    }
  }));

test("handlers can await the request body; streams and files are sent", () =>
  leavesNoFd(() => {
    const post =
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n" + "x".repeat(300_000);
    const [length] = served(async (request) => new Response(`${(await request.text()).length}`), [post], 1);
    expect(bodies(length)).toEqual(["300000"]);
    const [counted] = served(
      async (request) => {
        let count = 0;
        for await (const chunk of request.body as ReadableStream<Uint8Array>) count += chunk.length;
        return new Response(String(count));
      },
      [post],
      1,
    );
    expect(bodies(counted)).toEqual(["300000"]);
    const stream = (): ReadableStream => {
      let left = 5;
      return new ReadableStream({
        pull(controller) {
          if (left-- > 0) controller.enqueue("x".repeat(1000));
          else controller.close();
        },
      });
    };
    const [streamed] = served(() => new Response(stream()), [LAST], 1);
    expect(bodies(streamed)).toEqual(["x".repeat(5000)]);
    const [file] = served(() => new Response(Bun.file(import.meta.path)), [LAST], 1);
    expect(parseResponses(file ?? "")[0]?.headers["content-length"]).toBe(String(Bun.file(import.meta.path).size));
  }));

test("responds with 500 if a handler waits for a timer, reports what to do, and serves the others", () =>
  leavesNoFd(() => {
    const errors: string[] = [];
    const responses = served(
      async ({ url }) => {
        if (url.endsWith("/wait")) await Bun.sleep(1);
        return new Response("ok");
      },
      [GET.replace("/", "/wait") + LAST, LAST],
      3,
      { onError: (error) => void errors.push(String(error)) },
    );
    expect(responses.map((text) => parseResponses(text).map(({ status }) => status))).toEqual([[500, 200], [200]]);
    expect(errors).toEqual([expect.stringContaining("start()")]);
  }));

test("responds with 500 if a handler waits for its body and, iterations later, for a timer", () =>
  leavesNoFd(() => {
    const errors: string[] = [];
    const handler: FetchHandler = async (request) => {
      await request.text();
      if (request.url.endsWith("/wait")) await Bun.sleep(1);
      return new Response("ok");
    };
    const post = (path: string): string => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab`;
    const client = new Socket();
    const late = new Socket();
    let iterations = 0;
    const server = new EpollServer({
      hostname: "127.0.0.1",
      fetch: handler,
      onError: (error) => void errors.push(String(error)),
      // Each of these requests takes an iteration, during which the earlier ones wait for the rest of their bodies.
      onRequest: () => void (++iterations === 4 && server.stop()),
    });
    for (const [socket, text] of [
      [client, post("/wait")],
      [late, post("/")],
    ] as const) {
      socket.connect(server.address as InternetAddress);
      socket.send(text);
      server.tick(0);
      server.tick(0);
    }
    const more = [GET, GET].map((text) => {
      const other = new Socket();
      other.connect(server.address as InternetAddress);
      other.send(text);
      return other;
    });
    client.send("c");
    late.send("c");
    for (const socket of [client, late]) socket.shutdown(SHUT_WR);
    server.run();
    const statuses = [client, late].map((socket) =>
      parseResponses(Buffer.from(socket.recv(10_000) ?? []).toString("latin1")).map(({ status }) => status),
    );
    for (const socket of [client, late, ...more]) socket.close();
    expect(statuses).toEqual([[500], [200]]);
    expect(errors).toEqual([expect.stringContaining("start()")]);
  }));

test("resets the connection if a stream waits for a timer, and calls onError", () =>
  leavesNoFd(() => {
    const errors: string[] = [];
    const slow = (): ReadableStream =>
      new ReadableStream({
        async pull(controller) {
          await Bun.sleep(1);
          controller.enqueue("never");
        },
      });
    const [response] = served(
      ({ url }) => new Response(url.endsWith("/slow") ? slow() : "ok"),
      [LAST.replace("/", "/slow")],
      1,
      {
        onError: (error) => void errors.push(String(error)),
      },
    );
    expect(response).not.toContain("\r\n0\r\n\r\n");
    expect(errors).toEqual([expect.stringContaining("start()")]);
  }));

test("onError may return a promise; if that waits for a timer, too, the status is 500", () =>
  leavesNoFd(() => {
    const fetch = async (): Promise<Response> => {
      await Bun.sleep(1);
      return new Response("never");
    };
    const immediately = async (): Promise<Response> => new Response("sorry", { status: 503 });
    const later = async (): Promise<Response> => {
      await Bun.sleep(1);
      return new Response("never");
    };
    for (const [onError, status] of [
      [immediately, 503],
      [later, 500],
    ] as const) {
      expect(parseResponses(served(fetch, [LAST], 1, { onError })[0] as string).map((each) => each.status)).toEqual([
        status,
      ]);
    }
  }));
