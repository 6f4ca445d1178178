// Random pipelines, split at random positions, with all kinds of handlers: every response is complete and in order.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { FetchHarness } from "../support/fetch-harness.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Handlers by the first part of the path; the second part is the request's number. */
const kinds: Record<string, (request: Request, number: string) => Promise<Response>> = {
  get: async (_, number) => new Response(number),
  async wait(_, number) {
    for (let i = 0; i <= Number(number) % 3; i++) await turn();
    return new Response(number);
  },
  read: async (request, number) => new Response(`${number}: ${(await request.text()).length}`),
  async readLate(request, number) {
    await turn();
    return new Response(`${number}: ${(await request.text()).length}`);
  },
  ignore: async (_, number) => new Response(number),
  large: async (_, number) => new Response(number.padEnd(300_000, "x")),
  stream: async (_, number) =>
    new Response(
      new ReadableStream({
        async start(controller) {
          controller.enqueue("from a stream: ");
          await turn();
          controller.enqueue(number);
          controller.close();
        },
      }),
    ),
};

interface RandomRequest {
  kind: string;
  method: "GET" | "HEAD" | "POST";
  isChunked: boolean;
  size: number;
}

function text({ kind, method, isChunked, size }: RandomRequest, number: number, isLast: boolean): string {
  const fields = ["Host: a", ...(isLast ? ["Connection: close"] : [])];
  let body = "";
  if (method === "POST") {
    body = "y".repeat(size);
    fields.push(isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${size}`);
    if (isChunked)
      body = `${body.replace(/y{1,700}/g, (part) => `${part.length.toString(16)};a=b\r\n${part}\r\n`)}0\r\nT: u\r\n\r\n`;
  }
  return `${method} /${kind}/${number} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n${body}`;
}

function expectedBody({ kind, method, size }: RandomRequest, number: number): string {
  if (method === "HEAD") return "";
  if (kind.startsWith("read")) return `${number}: ${method === "POST" ? size : 0}`;
  if (kind === "large") return String(number).padEnd(300_000, "x");
  return kind === "stream" ? `from a stream: ${number}` : String(number);
}

/** Returns the bodies of the responses; those to HEAD have none. */
function bodies(received: string, isHead: boolean[]): string[] {
  let at = 0;
  const found = isHead.map((isHead) => {
    const end = received.indexOf("\r\n\r\n", at);
    const head = received.slice(at, end);
    expect(head).toStartWith("HTTP/1.1 200 OK\r\n");
    at = end + 4;
    if (isHead) return "";
    const [, length] = /^content-length: (\d+)$/im.exec(head) ?? [];
    if (length !== undefined) return received.slice(at, (at += Number(length)));
    let body = "";
    for (let size = 1; size > 0; at += 2) {
      const lineEnd = received.indexOf("\r\n", at);
      size = parseInt(received.slice(at, lineEnd), 16);
      at = lineEnd + 2;
      body += received.slice(at, (at += size));
    }
    return body;
  });
  expect(received.slice(at)).toBe("");
  return found;
}

const randomRequest = fc.record({
  kind: fc.constantFrom(...Object.keys(kinds)),
  method: fc.constantFrom("GET", "GET", "HEAD", "POST", "POST"),
  isChunked: fc.boolean(),
  size: fc.integer({ min: 0, max: 3000 }),
});

for (const eager of [true, false]) {
  test(`answers random pipelines completely and in order; eager: ${eager}`, () =>
    leavesNoFd(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(randomRequest, { minLength: 1, maxLength: 40 }),
          fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
          async (requests, positions) => {
            using harness = new FetchHarness(
              (request) => {
                const [, kind = "", number = ""] = new URL(request.url).pathname.split("/");
                return (kinds[kind] as (typeof kinds)[string])(request, number);
              },
              { eager },
            );
            const all = requests.map((one, i) => text(one, i, i === requests.length - 1)).join("");
            const client = harness.client();
            let received = "";
            const read = (): boolean => {
              const bytes = client.recv(1_000_000);
              received += Buffer.from(bytes ?? []).toString("latin1");
              return bytes?.length === 0;
            };
            let sent = 0;
            for (const end of [...positions.map((position) => Math.floor(position * all.length)), all.length].sort(
              (a, b) => a - b,
            )) {
              while (sent < end) {
                sent += Math.max(0, client.send(all.slice(sent, end)));
                await harness.idle(1);
                read();
              }
            }
            await harness.until(read);
            const isHead = requests.map(({ method }) => method === "HEAD");
            expect(bodies(received, isHead)).toEqual(requests.map(expectedBody));
          },
        ),
        { numRuns: 60, seed: 4711 },
      ),
    ));
}
