// Random clients that stop, leave or reset at any moment, with random handlers and random pauses: nothing of them is left.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { SHUT_WR, SO_LINGER, SO_RCVBUF, SOL_SOCKET, type Socket } from "../../src/index.ts";
import { BufferBudget } from "../../src/protocols/buffer-budget.ts";
import { leavesNoFd } from "../support/fds.ts";
import { FetchHarness } from "../support/fetch-harness.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const never = (): Promise<never> => new Promise(() => {});

/** Streams that have neither ended nor been canceled. */
const openStreams = new Set<object>();

/** @param pull returns undefined at the end */
function stream(pull: (pulls: number) => string | Uint8Array | Promise<never> | undefined): Response {
  let pulls = 0;
  const source = {
    async pull(controller: ReadableStreamDefaultController) {
      try {
        const chunk = await pull(pulls++);
        if (chunk !== undefined) return controller.enqueue(chunk);
        controller.close();
      } catch (error) {
        controller.error(error);
      }
      openStreams.delete(source);
    },
    cancel: () => void openStreams.delete(source),
  };
  openStreams.add(source);
  return new Response(new ReadableStream(source));
}

const handlers: Record<string, (request: Request) => Response | Promise<Response>> = {
  now: () => new Response("now"),
  later: async () => {
    await turn();
    return new Response("later");
  },
  never,
  onAbort: ({ signal }) =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve(new Response("aborted")))),
  large: () => new Response(Buffer.alloc(3_000_000)),
  quiet: () => stream((pulls) => (pulls === 0 ? "x" : never())),
  endless: () => stream(() => Buffer.alloc(50_000)),
  short: () => stream((pulls) => (pulls < 3 ? "x" : undefined)),
  failing: () =>
    stream((pulls) => {
      if (pulls === 0) return "x";
      throw new Error("the stream's");
    }),
  read: async (request) => new Response(await request.text()),
  readPart: async (request) => {
    const reader = request.body?.getReader();
    await reader?.read();
    return new Response("part");
  },
  echo: (request) => new Response(request.body),
  ignore: async () => {
    await turn();
    return new Response("ignored");
  },
  throws: () => {
    throw new Error("the handler's");
  },
};

type Step =
  | { kind: "request"; handler: string; size: number; sent: number; isChunked: boolean }
  | { kind: "read"; bytes: number }
  | { kind: "turn"; count: number }
  | { kind: "wait"; ms: number }
  | { kind: "half-close" | "close" | "reset" };

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("request" as const),
      handler: fc.constantFrom(...Object.keys(handlers)),
      size: fc.constantFrom(0, 0, 3, 5_000, 70_000, 400_000),
      sent: fc.constantFrom(0.3, 1, 1, 1),
      isChunked: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("read" as const), bytes: fc.constantFrom(10, 1_000_000) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("turn" as const), count: fc.nat({ max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(1, 300, 11_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("half-close" as const, "close", "reset") }) },
);

function requestText({ handler, size, sent, isChunked }: Step & { kind: "request" }): string {
  const body = "y".repeat(size);
  const framing = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${size}`;
  const encoded = isChunked ? `${size > 0 ? `${size.toString(16)}\r\n${body}\r\n` : ""}0\r\n\r\n` : body;
  const text =
    size === 0
      ? `GET /${handler} HTTP/1.1\r\nHost: a\r\n\r\n`
      : `POST /${handler} HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${encoded}`;
  return text.slice(0, Math.ceil(text.length * sent));
}

class Client {
  readonly #socket: Socket;
  #unsent = Buffer.alloc(0);
  #hasClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 20_000);
  }

  take(next: Step): void {
    if (this.#socket.closed) return;
    try {
      this.#take(next);
    } catch (error) {
      if (!/ECONNRESET|EPIPE|ENOTCONN/.test(String(error))) throw error;
    }
  }

  #take(next: Step): void {
    switch (next.kind) {
      case "request":
        if (!this.#hasClosed) this.#unsent = Buffer.concat([this.#unsent, Buffer.from(requestText(next))]);
        break;
      case "read":
        this.#socket.recv(next.bytes);
        break;
      case "half-close":
        this.#hasClosed = true;
        this.#unsent = Buffer.alloc(0);
        this.#socket.shutdown(SHUT_WR);
        break;
      case "reset":
        this.#socket.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
        this.#socket.close();
        return;
      case "close":
        this.#socket.close();
        return;
    }
    if (this.#unsent.length > 0) this.#unsent = this.#unsent.subarray(Math.max(0, this.#socket.send(this.#unsent)));
  }
}

/** Returns the budgets of the servers that are created meanwhile. */
function observeBudgets(): { budgets: Set<BufferBudget>; restore(): void } {
  const budgets = new Set<BufferBudget>();
  const { add } = BufferBudget.prototype;
  BufferBudget.prototype.add = function (bytes) {
    budgets.add(this);
    add.call(this, bytes);
  };
  return { budgets, restore: () => void (BufferBudget.prototype.add = add) };
}

test("no connection, stream, file descriptor or buffered byte is left", () =>
  leavesNoFd(async () => {
    const { budgets, restore } = observeBudgets();
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
          fc.boolean(),
          async (scripts, eager) => {
            openStreams.clear();
            using harness = new FetchHarness(
              (request) =>
                (handlers[new URL(request.url).pathname.slice(1)] as (request: Request) => Response)(request),
              { eager, deferAccept: false },
            );
            const clients = scripts.map(() => new Client(harness.client()));
            for (let i = 0; i < 8; i++) {
              for (const [index, script] of scripts.entries()) {
                const next = script[i];
                if (next === undefined) continue;
                if (next.kind === "turn") await harness.idle(next.count);
                else if (next.kind === "wait") harness.clock.ms += next.ms;
                else clients[index]?.take(next);
                harness.server.tick(0);
              }
            }
            for (let steps = 0; harness.server.stats.open > 0; steps++) {
              if (steps > 2_000) throw new Error(`still open: ${harness.server.stats.open}`);
              harness.clock.ms += 150_000;
              await harness.idle(5);
            }
            await harness.idle(5);
            expect(openStreams.size).toBe(0);
            for (const budget of budgets) expect(budget.used).toBe(0);
            budgets.clear();
          },
        ),
        { numRuns: scaled(150, 2_000) },
      );
    } finally {
      restore();
    }
  }));
