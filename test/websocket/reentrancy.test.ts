// What handlers do to their own connection: close, terminate, reset, throw or stop the server, with input behind the request.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type EpollServerOptions, type ServerWebSocket, type Socket } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { closePayload, frame, framesOf, upgradeRequest } from "../support/raw-websocket.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const HANDLERS = ["open", "message", "ping", "pong", "close"] as const;
type HandlerName = (typeof HANDLERS)[number];

interface Actor {
  ws: ServerWebSocket;
  server: EpollServer;
}

/** What a handler may do to its connection. */
const ACTIONS: Readonly<Record<string, (actor: Actor) => unknown>> = {
  "sends and closes": ({ ws }) => (ws.send("bye"), ws.close(1000, "done")),
  "closes twice": ({ ws }) => (ws.close(), ws.close()),
  terminates: ({ ws }) => ws.terminate(),
  "sends and terminates": ({ ws }) => (ws.send("bye"), ws.terminate()),
  "terminates with a full send queue": ({ ws }) => (ws.send(new Uint8Array(12_000_000)), ws.terminate()),
  throws: () => {
    throw new Error("from a handler");
  },
  "closes and throws": ({ ws }) => {
    ws.close();
    throw new Error("from a handler");
  },
  "stops the server at once": ({ server }) => void server.stop({ graceMs: 0 }),
  "stops the server": ({ server }) => void server.stop(),
  "pauses, resumes and subscribes": ({ ws }) => (ws.pause(), ws.subscribe("all"), ws.resume()),
};

/** Ways to the upgrade: the request alone is answered by the fast path; the others are not. */
const PREFIXES: Readonly<Record<string, string>> = {
  alone: "",
  "behind a request": "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n",
  "behind a request with a body": "POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
};

const FRAMES = [frame(1, "one"), frame(9, "p"), frame(10, "q"), frame(1, "two"), frame(8, closePayload(1000))];
const PLAIN = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
/** What follows the request in the same segment. */
const SUFFIXES: Readonly<Record<string, Buffer>> = {
  frames: Buffer.concat(FRAMES),
  "request-like bytes": Buffer.from(PLAIN + PLAIN),
};

interface Calls {
  requests: string[];
  /** The handlers that were called, in order. */
  handlers: string[];
}

/** A server on which one of the handlers performs the action. */
function serverOf(
  handler: HandlerName,
  action: (actor: Actor) => unknown,
  calls: Calls,
  options: EpollServerOptions,
): ServerHarness {
  const record =
    (name: HandlerName) =>
    (ws: ServerWebSocket): void => {
      calls.handlers.push(name);
      if (name === handler) action({ ws, server: harness.server });
    };
  const websocket = Object.fromEntries(HANDLERS.map((name) => [name, record(name)]));
  const harness: ServerHarness = new ServerHarness({
    fetch: (request, server) => {
      calls.requests.push(new URL(request.url).pathname);
      return server.upgrade(request) ? undefined : new Response("plain");
    },
    websocket,
    ...options,
  });
  return harness;
}

/** Runs iterations until nothing happens, whatever the handlers throw. */
function settle(harness: ServerHarness, client: Socket): string {
  let text = "";
  for (let quiet = 0; quiet < 4;) {
    try {
      quiet = harness.server.closed || harness.server.tick(1) === 0 ? quiet + 1 : 0;
      const bytes = client.recv(1_000_000);
      if (bytes !== null && bytes.length > 0) quiet = 0;
      if (bytes !== null) text += Buffer.from(bytes).toString("latin1");
    } catch {
      quiet++;
    }
  }
  return text;
}

describe.each(["", "PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\n"])("after %j", (header) => {
  for (const [title, action] of Object.entries(ACTIONS)) {
    test(`a handler that ${title}`, () =>
      leavesNoFd(() => {
        for (const handler of HANDLERS) {
          for (const [place, prefix] of Object.entries(header === "" ? PREFIXES : { alone: "" })) {
            for (const [what, suffix] of Object.entries(SUFFIXES)) {
              const calls: Calls = { requests: [], handlers: [] };
              using harness = serverOf(handler, action, calls, header === "" ? {} : { proxyProtocol: true });
              const client = harness.client();
              client.send(Buffer.concat([Buffer.from(header + prefix + upgradeRequest()), suffix]));
              settle(harness, client);
              const where = { handler, place, what, ...calls };
              // No byte behind the upgrade is a request.
              expect({ ...where, ok: calls.requests.join() === (prefix === "" ? "/" : "/plain,/") }).toEqual({
                ...where,
                ok: true,
              });
              // Nothing is called before open, and nothing after close.
              const closes = calls.handlers.filter((name) => name === "close").length;
              expect({ ...where, first: calls.handlers[0], closes }).toEqual({ ...where, first: "open", closes: 1 });
              expect({ ...where, last: calls.handlers.at(-1) }).toEqual({ ...where, last: "close" });
              client.close();
              if (harness.server.closed) continue;
              settle(harness, harness.client());
              expect({ ...where, pending: harness.server.pendingWebSockets }).toEqual({ ...where, pending: 0 });
              expect({ ...where, pending: harness.server.pendingRequests }).toEqual({ ...where, pending: 0 });
            }
          }
        }
      }));
  }
});

test("behind a proxy, what is published without microtasks is sent at the end of the iteration", () => {
  using harness = new ServerHarness({
    proxyProtocol: true,
    fetch: (request, server) => void server.upgrade(request),
    websocket: {
      open: (ws) => void ws.subscribe("all"),
      message: (ws, message) => void ws.publish("all", message),
    },
  });
  const header = "PROXY UNKNOWN\r\n";
  const [sender, other] = [0, 1].map(() => harness.client(header + upgradeRequest())) as [Socket, Socket];
  for (const client of [sender, other]) harness.receive(client, /\r\n\r\n$/);
  sender.send(frame(1, "to all others"));
  const received = harness.receive(other, /others$/);
  expect(framesOf(`\r\n\r\n${received}`)).toEqual(["text to all others"]);
});
