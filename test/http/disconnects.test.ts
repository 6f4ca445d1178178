// Clients that leave: in every state of a connection, its handler is notified, its stream canceled, and its fd closed.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type EpollServerOptions, SHUT_WR, SO_LINGER, SOL_SOCKET, type Socket } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { leavesNoFd } from "../support/fds.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";

setDefaultTimeout(60_000);

const get = (path = "/"): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const post = (length: number, body: string): string =>
  `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${body}`;

type Leave = (client: Socket) => void;

function reset(client: Socket): void {
  client.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
  client.close();
}

/** How a client can leave. After the first two, the server receives FIN, and only the reset reports more. */
const leaves: Record<string, Leave> = {
  "closes its socket": (client) => client.close(),
  "closes its side": (client) => client.shutdown(SHUT_WR),
  "resets the connection": reset,
};

/** What a handler observes. */
interface Observed {
  begun: number;
  aborted: number;
  canceled: number;
}

interface Situation {
  /** What the client sends. */
  input: string;
  /** What the client must have received, or which handlers must have begun, before it leaves. */
  received?: RegExp;
  handle(request: Request, observed: Observed): Response | Promise<Response>;
  /** Whether the response is a stream, which must be canceled. */
  isStream?: boolean;
  options?: EpollServerOptions;
}

const never = (): Promise<never> => new Promise(() => {});

/** A stream that supplies one piece and then nothing. */
function quietStream(observed: Observed): ReadableStream<Uint8Array> {
  let pulls = 0;
  return new ReadableStream({
    pull: (controller) => (pulls++ === 0 ? controller.enqueue(Buffer.from("first")) : never()),
    cancel: () => void observed.canceled++,
  });
}

/** An iterator that supplies one piece and then nothing. */
function quietIterator(observed: Observed): AsyncIterable<string> {
  let calls = 0;
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => (calls++ === 0 ? Promise.resolve({ done: false, value: "first" }) : never()),
      return() {
        observed.canceled++;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
}

const situations: Record<string, Situation> = {
  "a quiet stream": {
    input: get(),
    received: /first/,
    isStream: true,
    handle: (_, observed) => new Response(quietStream(observed)),
  },
  "a quiet stream with further requests behind it": {
    input: get() + get("/2").repeat(40),
    received: /first/,
    isStream: true,
    handle: (_, observed) => new Response(quietStream(observed)),
  },
  "a quiet stream in response to an upload that is not read": {
    input: post(1_000_000, "x".repeat(60_000)),
    received: /first/,
    isStream: true,
    handle: (_, observed) => new Response(quietStream(observed)),
  },
  "a quiet compressed stream": {
    input: get(),
    isStream: true,
    received: /200 OK/,
    handle: (_, observed) => new Response(quietStream(observed).pipeThrough(new CompressionStream("gzip") as never)),
  },
  "a quiet transform stream": {
    input: get(),
    isStream: true,
    received: /200 OK/,
    handle(_, observed) {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const writer = writable.getWriter();
      writer.closed.catch(() => void observed.canceled++);
      void writer.write(Buffer.from("first"));
      return new Response(readable);
    },
  },
  "a quiet async iterator": {
    input: get(),
    received: /first/,
    isStream: true,
    handle: (_, observed) => new Response(quietIterator(observed) as never),
  },
  "a quiet stream that no byte was sent of": {
    input: get(),
    received: /200 OK/,
    isStream: true,
    handle: (_, observed) => new Response(new ReadableStream({ pull: never, cancel: () => void observed.canceled++ })),
  },
  "a handler that never settles": { input: get(), handle: never },
  "a handler that never settles, with 40 further requests": { input: get().repeat(41), handle: never },
  "a handler that never reads a large body": { input: post(10_000_000, "x".repeat(320_000)), handle: never },
  "a handler that waits for the rest of the body": {
    input: post(100, "abc"),
    async handle(request) {
      await request.text();
      return new Response("x");
    },
  },
  "a handler that has read part of the body": {
    input: post(1_000_000, "x".repeat(340_000)),
    async handle(request) {
      await request.body?.getReader().read();
      return never();
    },
  },
};

function observing({ handle, options }: Situation): { harness: FetchHarness; observed: Observed } {
  const observed: Observed = { begun: 0, aborted: 0, canceled: 0 };
  const harness = new FetchHarness(
    (request) => {
      observed.begun++;
      if (request.signal.aborted) observed.aborted++;
      else request.signal.addEventListener("abort", () => void observed.aborted++);
      return handle(request, observed);
    },
    { deferAccept: false, ...options },
  );
  return { harness, observed };
}

/** Sends the input of a situation as far as the server takes it. */
async function send(harness: FetchHarness, client: Socket, input: string): Promise<void> {
  const bytes = Buffer.from(input);
  for (let sent = 0, attempts = 0; sent < bytes.length && attempts < 20;) {
    const n = client.send(bytes.subarray(sent));
    if (n < 0) attempts++;
    else sent += n;
    await harness.idle(1);
  }
}

for (const [situation, each] of Object.entries(situations)) {
  describe(`a client that waits for ${situation}`, () => {
    for (const [how, leave] of Object.entries(leaves)) {
      test(`${how}: the handler is notified, and the fd is closed`, () =>
        leavesNoFd(async () => {
          const { harness, observed } = observing(each);
          using _ = harness;
          const client = harness.client();
          await send(harness, client, each.input);
          if (each.received !== undefined) await harness.text(client, each.received);
          await harness.until(() => observed.begun > 0);
          await harness.idle();
          leave(client);
          await harness.until(() => observed.aborted === observed.begun);
          // A stream ends soon; a handler has ten seconds for its response.
          harness.clock.ms += each.isStream === true ? 250 : 10_000;
          await harness.until(() => harness.server.stats.open === 0);
          expect(observed.canceled).toBe(each.isStream === true ? 1 : 0);
        }));
    }
  });
}

/** What a client that does nothing more can make a connection wait for, besides the situations above. */
const silent: Record<string, Situation> = {
  ...situations,
  "the first request": { input: "", handle: never },
  "the rest of a head": { input: "GET / HTTP/1.1\r\nHo", handle: never },
  "the next request": { input: get(), received: /x$/, handle: () => new Response("x") },
  "the rest of a body that is discarded": { input: post(100, "abc"), handle: () => new Response("x") },
  "100 Continue": {
    input: "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    handle: never,
  },
  "the body after 100 Continue": {
    input: "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    received: /100 Continue/,
    async handle(request) {
      return new Response(await request.text());
    },
  },
  "a response that it does not read": { input: get(), handle: () => new Response(Buffer.alloc(32 << 20)) },
  "a file that it does not read": { input: get(), handle: () => new Response(Bun.file(process.execPath)) },
  "a stream that it does not read": {
    input: get(),
    handle: () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(65_536)) })),
  },
  "the end of a connection whose last response it has received": {
    input: "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\n",
    handle: () => new Response("x"),
  },
};

describe("a deadline ends the connection of a client that stays, does nothing and waits for", () => {
  for (const [situation, each] of Object.entries(silent)) {
    test(situation, () =>
      leavesNoFd(async () => {
        const { harness } = observing(each);
        using _ = harness;
        const client = harness.client();
        await harness.until(() => harness.server.stats.open === 1);
        await send(harness, client, each.input);
        if (each.received !== undefined) await harness.text(client, each.received);
        await harness.idle();
        expect(harness.server.stats.open).toBe(1);
        for (let steps = 0; harness.server.stats.open > 0; steps++) {
          expect(steps).toBeLessThan(20);
          harness.clock.ms += 150_000; // longer than each of the timeouts
          await harness.idle();
        }
      }),
    );
  }
});

test("a client that leaves while the server has no room for its upload is closed after handlerTimeoutMs", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(never, { handlerTimeoutMs: 1000, maxBodyBytes: Infinity });
    const client = harness.client(post(100_000_000, ""));
    await send(harness, client, "x".repeat(20_000_000)); // the client's FIN stays behind what the server does not read
    client.close();
    await harness.idle();
    expect(harness.server.stats).toMatchObject({ open: 1, rejected: 0 });
    harness.clock.ms += 1000;
    await harness.until(() => harness.server.stats.open === 0);
    expect(harness.server.stats.timeouts).toBe(1);
  }));

test("a stream that is not quiet reaches a half-closed client completely", () =>
  leavesNoFd(async () => {
    const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
    using harness = new FetchHarness(
      () =>
        new Response(
          (async function* () {
            for (const [i, gate] of gates.entries()) {
              await gate.promise;
              yield `part${i}`;
            }
          })() as unknown as ReadableStream,
        ),
    );
    const client = harness.client(get());
    await harness.text(client, /200 OK/);
    client.shutdown(SHUT_WR);
    let text = "";
    for (const [i, gate] of gates.entries()) {
      await harness.idle();
      harness.clock.ms += 200; // within the 250 ms
      gate.resolve();
      text += await harness.text(client, new RegExp(`part${i}`));
    }
    expect(`${text}${await harness.rest(client)}`).toEndWith("0\r\n\r\n");
  }));

test("a half-closed client gets a response that is ready within ten seconds", () =>
  leavesNoFd(async () => {
    const gate = Promise.withResolvers<void>();
    using harness = new FetchHarness(async () => {
      await gate.promise;
      return new Response("in time");
    });
    const client = harness.client(get());
    client.shutdown(SHUT_WR);
    await harness.idle();
    harness.clock.ms += 9_999;
    await harness.idle();
    gate.resolve();
    expect(parseResponses(await harness.rest(client)).map(({ body }) => body)).toEqual(["in time"]);
  }));

for (const [how, leave] of Object.entries(leaves)) {
  test(`an upload that is cut short by a client that ${how} is an AbortError, which onError does not get`, () =>
    leavesNoFd(async () => {
      const errors: string[] = [];
      const reported: unknown[] = [];
      using harness = new FetchHarness(
        async (request) => {
          try {
            await request.text();
          } catch (error) {
            errors.push((error as Error).name);
            throw error;
          }
          return new Response("x");
        },
        { onError: (error) => void reported.push(error) },
      );
      const client = harness.client(post(10, "abc"));
      await harness.idle();
      leave(client);
      await harness.until(() => errors.length === 1);
      await harness.idle();
      expect(errors).toEqual(["AbortError"]);
      expect(reported).toEqual([]);
    }));
}

describe("after handlerTimeoutMs", () => {
  test("a handler that has not responded gets a TimeoutError, and its client 503", () =>
    leavesNoFd(async () => {
      const reasons: string[] = [];
      const errors: string[] = [];
      using harness = new FetchHarness(
        ({ signal }) => {
          signal.addEventListener("abort", () => reasons.push(signal.reason.name));
          return never();
        },
        { handlerTimeoutMs: 1000, onError: (error) => void errors.push((error as Error).name) },
      );
      const client = harness.client(get());
      await harness.until(() => harness.server.stats.requests === 1);
      await harness.idle();
      harness.clock.ms += 999;
      await harness.idle();
      expect(reasons).toEqual([]);
      harness.clock.ms += 1;
      const [response] = parseResponses(await harness.rest(client));
      expect([response?.status, response?.headers["connection"]]).toEqual([503, "close"]);
      expect([reasons, errors]).toEqual([["TimeoutError"], ["TimeoutError"]]);
      expect(harness.server.stats.rejectedBy["handler-timeout"]).toBe(1);
    }));

  test("onError can respond, immediately or later", () =>
    leavesNoFd(async () => {
      for (const onError of [
        () => new Response("sorry", { status: 504 }),
        async () => {
          await Bun.sleep(1);
          return new Response("sorry", { status: 504 });
        },
      ]) {
        using harness = new FetchHarness(never, { handlerTimeoutMs: 1000, onError });
        const client = harness.client(get());
        await harness.until(() => harness.server.stats.requests === 1);
        await harness.idle();
        harness.clock.ms += 1000;
        const [response] = parseResponses(await harness.rest(client));
        expect([response?.status, response?.body]).toEqual([504, "sorry"]);
      }
    }));

  test("a quiet stream is canceled, and its client's connection reset", () =>
    leavesNoFd(async () => {
      const observed = { begun: 0, aborted: 0, canceled: 0 };
      const errors: string[] = [];
      using harness = new FetchHarness(() => new Response(quietStream(observed)), {
        handlerTimeoutMs: 1000,
        onError: (error) => void errors.push((error as Error).name),
      });
      const client = harness.client(get());
      await harness.text(client, /first/);
      harness.clock.ms += 1000;
      await harness.until(() => harness.server.stats.open === 0);
      expect(harness.fate(client)).toBe("reset");
      expect([observed.canceled, errors]).toEqual([1, ["TimeoutError"]]);
    }));

  test("a stream that is quiet for less than that continues", () =>
    leavesNoFd(async () => {
      let enqueue: (text: string) => void = () => {};
      using harness = new FetchHarness(
        () =>
          new Response(
            new ReadableStream({
              start(controller) {
                enqueue = (text) => controller.enqueue(text);
              },
            }),
          ),
        { handlerTimeoutMs: 1000 },
      );
      const client = harness.client(get());
      await harness.text(client, /200 OK/);
      for (let i = 0; i < 5; i++) {
        harness.clock.ms += 900;
        enqueue(`part${i}`);
        await harness.text(client, new RegExp(`part${i}`));
      }
      expect(harness.server.stats.open).toBe(1);
    }));

  test("a late response and its stream are dropped", () =>
    leavesNoFd(async () => {
      const gate = Promise.withResolvers<void>();
      const observed = { begun: 0, aborted: 0, canceled: 0 };
      using harness = new FetchHarness(
        async () => {
          await gate.promise;
          return new Response(quietStream(observed));
        },
        { handlerTimeoutMs: 1000 },
      );
      const client = harness.client(get());
      await harness.until(() => harness.server.stats.requests === 1);
      await harness.idle();
      harness.clock.ms += 1000;
      expect(await harness.rest(client)).toStartWith("HTTP/1.1 503 ");
      gate.resolve();
      await harness.until(() => observed.canceled === 1);
    }));
});

describe("with start()", () => {
  const servers: EpollServer[] = [];
  afterAll(async () => {
    for (const server of servers) await server.stop({ graceMs: 0 });
  });

  test("two hundred clients that leave a stream, two hundred that leave a handler: none of them stays", async () => {
    let canceled = 0;
    let aborted = 0;
    const server = new EpollServer({
      hostname: "127.0.0.1",
      idleTimeoutMs: 500,
      fetch(request) {
        request.signal.addEventListener("abort", () => void aborted++);
        if (request.url.endsWith("/never")) return never();
        return new Response(
          new ReadableStream({ start: (controller) => controller.enqueue("x"), cancel: () => void canceled++ }),
        );
      },
    });
    servers.push(server);
    await server.start();
    for (const path of ["/stream", "/never"]) {
      const before = server.stats.requests;
      const clients = await Promise.all(
        Array.from({ length: 200 }, () =>
          Bun.connect({
            hostname: "127.0.0.1",
            port: server.port as number,
            socket: { open: (socket) => void socket.write(get(path).repeat(3)), data() {} },
          }),
        ),
      );
      await eventually(
        () => server.stats.requests - before,
        (requests) => requests >= 200,
      );
      for (const client of clients) client.end();
      await eventually(
        () => server.stats.open,
        (open) => open === 0,
      );
    }
    expect(canceled).toBe(200);
    expect(aborted).toBe(400);
  });

  test("stop() does not wait for a client that has left", async () => {
    const server = new EpollServer({ hostname: "127.0.0.1", fetch: never });
    servers.push(server);
    await server.start();
    const client = await Bun.connect({
      hostname: "127.0.0.1",
      port: server.port as number,
      socket: { open: (socket) => void socket.write(get()), data() {} },
    });
    await eventually(
      () => server.stats.requests,
      (requests) => requests === 1,
    );
    client.end();
    await server.stop({ graceMs: Infinity });
  });
});
