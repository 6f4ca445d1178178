// Bodies of all sizes around the sizes of the buffers: every byte arrives once, in order, and reused buffers mix up nothing.

import { expect, setDefaultTimeout, test } from "bun:test";
import { SO_RCVBUF, SOL_SOCKET } from "../../src/index.ts";
import { BufferBudget } from "../../src/protocols/buffer-budget.ts";
import { releaseBodyBuffer, takeBodyBuffer } from "../../src/protocols/http/body-buffers.ts";
import { BATCH_BYTES } from "../../src/protocols/http/buffer-sizes.ts";
import { RequestBody } from "../../src/protocols/http/request-body.ts";
import { leavesNoFd } from "../support/fds.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";
import { pattern } from "../support/pattern.ts";
import { sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

const MIB = 1_048_576;
const edges = [65_536, 262_144, MIB].flatMap((size) => [size - 1, size, size + 1]);
const sizes = [1, ...edges, 3 * MIB + 7];
const hash = (bytes: Uint8Array | string): string => String(Bun.hash(bytes));
const ascii = (length: number): string => Buffer.from(pattern(0, length)).toString("hex").slice(0, length);

/** Reads the body in the way that the path names, and returns a checksum. */
async function checksum(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === "/bytes") return new Response(hash(await request.bytes()));
  if (pathname === "/arrayBuffer") return new Response(hash(new Uint8Array(await request.arrayBuffer())));
  if (pathname === "/text") return new Response(hash(await request.text()));
  if (pathname === "/json") return new Response(hash((await request.json()) as string));
  if (pathname === "/blob") return new Response(hash(await (await request.blob()).bytes()));
  const chunks = [];
  for await (const chunk of request.body as ReadableStream<Uint8Array>) chunks.push(chunk);
  return new Response(hash(Buffer.concat(chunks)));
}

const post = (path: string, body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`), body]);

/** Sends all bytes, in pieces of the given sizes, and receives until there are `count` responses. */
async function exchange(harness: FetchHarness, input: Buffer, pieces: number[], count: number): Promise<string[]> {
  const client = harness.client();
  let text = "";
  let piece = 0;
  let at = 0;
  await harness.until(() => {
    if (at < input.length) {
      at += Math.max(0, client.send(input.subarray(at, at + (pieces[piece++ % pieces.length] as number))));
    }
    text += Buffer.from(client.recv(MIB) ?? []).toString("latin1");
    return text.split("HTTP/1.1 200").length > count && parseResponses(text).length === count;
  });
  client.close();
  return parseResponses(text).map(({ body }) => body);
}

for (const path of ["/bytes", "/arrayBuffer", "/blob", "/stream"]) {
  test(`an upload read by ${path.slice(1)} is complete, also in fragments`, () =>
    leavesNoFd(async () => {
      using harness = new FetchHarness(checksum);
      for (const size of sizes) {
        const body = pattern(size, 2 * size);
        for (const pieces of [[MIB], [70_000, 3, 200_001]]) {
          expect(await exchange(harness, post(path, body), pieces, 1)).toEqual([hash(body)]);
        }
      }
    }));
}

test("uploads read as text and JSON are complete, pipelined, and do not mix", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(checksum);
    for (const size of sizes) {
      const first = ascii(size);
      const second = `é${first.slice(1)}`;
      const input = Buffer.concat([
        post("/text", Buffer.from(first)),
        post("/text", Buffer.from(second)),
        post("/json", Buffer.from(JSON.stringify(first))),
        post("/bytes", Buffer.from(second)),
      ]);
      const expected = [hash(first), hash(second), hash(first), hash(second)];
      expect(await exchange(harness, input, [200_001], 4)).toEqual(expected);
    }
  }));

test("what a handler keeps of an upload is not overwritten by the next ones", () =>
  leavesNoFd(async () => {
    const kept: Uint8Array[] = [];
    using harness = new FetchHarness(async (request) => {
      if (request.url.endsWith("/bytes")) kept.push(await request.bytes());
      else await request.text();
      return new Response();
    });
    for (const size of edges) {
      await exchange(harness, post("/bytes", pattern(0, size)), [MIB], 1);
      await exchange(harness, post("/text", pattern(7, size + 7)), [MIB], 1);
    }
    expect(kept.map(hash)).toEqual(edges.map((size) => hash(pattern(0, size))));
  }));

test("an upload that ends early fails, and the next one is complete", () =>
  leavesNoFd(async () => {
    const errors: unknown[] = [];
    using harness = new FetchHarness(async (request) => {
      try {
        return await checksum(request);
      } catch (error) {
        errors.push(error);
        throw error;
      }
    });
    for (let i = 1; i <= 4; i++) {
      const client = harness.client();
      client.send(post("/text", pattern(0, MIB)).subarray(0, i * 50_000));
      await harness.until(() => harness.server.stats.bytesIn > 0 && harness.server.stats.open === 1);
      client.close();
      await harness.until(() => errors.length === i && harness.server.stats.open === 0);
      const text = ascii(MIB);
      expect(await exchange(harness, post("/text", Buffer.from(text)), [MIB], 1)).toEqual([hash(text)]);
    }
  }));

test("the buffer of a body grows with what arrives, not with what was announced", () => {
  const owner = { onReadStarted: (): void => {}, onBodyDrain: (): void => {} };
  const body = new RequestBody(1e9, 2e9, new BufferBudget(Infinity), owner);
  void body.all();
  for (let received = 0; received < 8 * MIB; received += 65_536) {
    const capacity = received + (body.target?.length ?? 0);
    expect(capacity).toBeGreaterThan(received);
    expect(capacity).toBeLessThanOrEqual(Math.max(262_144, 4 * received));
    body.feed(pattern(0, 65_536), 0, 65_536);
  }
});

test("bytes that were received into the buffer of a body are not copied, and others are", async () => {
  const owner = { onReadStarted: (): void => {}, onBodyDrain: (): void => {} };
  const body = new RequestBody(300_000, 2e9, new BufferBudget(Infinity), owner);
  const all = body.all();
  for (let at = 0, isDirect = true; at < 300_000; isDirect = !isDirect) {
    const count = Math.min(1000, 300_000 - at, body.target?.length ?? 0);
    const bytes = isDirect ? (body.target as Uint8Array) : Buffer.alloc(count);
    bytes.set(pattern(at, at + count));
    expect(body.feed(bytes, 0, count)).toBe(count);
    at += count;
  }
  expect(body.target).toBeUndefined();
  expect(hash(await all)).toBe(hash(pattern(0, 300_000)));
});

test("once the body was read, it cannot be read through the stream or a copy of the request", () =>
  leavesNoFd(async () => {
    const outcomes: unknown[] = [];
    using harness = new FetchHarness(async (request) => {
      const text = await request.text();
      const attempts: (() => unknown)[] = [
        () => request.clone(),
        () => new Request(request),
        () => request.body?.getReader(),
        () => request.bytes(),
      ];
      for (const attempt of attempts) {
        outcomes.push(await Promise.try(attempt).catch((error: Error) => error.name));
      }
      return new Response(text);
    });
    expect(await exchange(harness, post("/", Buffer.from("abc")), [MIB], 1)).toEqual(["abc"]);
    expect(outcomes).toEqual(["TypeError", "TypeError", "TypeError", "TypeError"]);
  }));

test("a large body in memory has the content type of its kind", () =>
  leavesNoFd(async () => {
    const text = ascii(MIB);
    const types = { "/string": "text/plain;charset=utf-8", "/bytes": "application/octet-stream" };
    using harness = new FetchHarness(
      (request) => new Response(request.url.endsWith("/bytes") ? Buffer.from(text) : text),
    );
    for (const [path, type] of Object.entries(types)) {
      for (let i = 0; i < 3; i++) {
        const { headers, body } = await harness.ask(`GET ${path} HTTP/1.1`);
        expect([headers["content-type"], hash(body)]).toEqual([type, hash(text)]);
      }
    }
  }));

test("strings of all sizes and alphabets arrive complete at slow clients, while others leave in the middle", () =>
  leavesNoFd(async () => {
    const alphabets: Record<string, (size: number) => string> = {
      ascii: (size) => ascii(size),
      latin: (size) => ascii(size - 1) + "é",
      wide: (size) => ascii(size - 1) + "€",
    };
    const texts = Object.entries(alphabets).flatMap(([name, create]) =>
      [65_535, 65_536, 262_144, 262_145, 3 * MIB].map((size): [path: string, text: string] => [
        `/${name}/${size}`,
        create(size),
      ]),
    );
    const byPath = new Map(texts);
    using harness = new FetchHarness((request) => {
      const { pathname, search } = new URL(request.url);
      const headers = new Headers(search === "" ? [] : [["Content-Type", "text/html"]]);
      return new Response(byPath.get(pathname), { headers });
    });
    for (const query of ["", "?typed"]) {
      const clients = texts.map(([path, text], i) => {
        const client = harness.client();
        client.setsockopt(SOL_SOCKET, SO_RCVBUF, 65_536);
        client.send(`GET ${path}${query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
        return { client, text, isLeaving: i % 4 === 3 };
      });
      await harness.idle(50); // the queues fill up
      for (const { client, isLeaving } of clients) if (isLeaving) client.close();
      for (const { client, text, isLeaving } of clients) {
        if (isLeaving) continue;
        const [response] = parseResponses(await harness.rest(client));
        const type = query === "" ? "text/plain;charset=utf-8" : "text/html";
        expect(response?.headers["content-type"]).toBe(type);
        expect(hash(Buffer.from(response?.body ?? "", "latin1"))).toBe(hash(Buffer.from(text)));
        client.close();
      }
    }
    const client = harness.client();
    client.send(`HEAD /ascii/${3 * MIB} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(await harness.rest(client)).toMatch(
      new RegExp(`\\r\\nContent-Length: ${3 * MIB}\\r\\n[^]*\\r\\n\\r\\n$`, "i"),
    );
    client.close();
  }));

test("streams arrive in order at a slow client, although their source overwrites its pieces", () =>
  leavesNoFd(async () => {
    const some = [1, 16_384, 16_385, 100, 65_536, 1000, 300_000, 2, 16_000, 16_000, 16_000, 16_000, 16_000];
    const pieces = Array.from({ length: 12 }, () => some).flat(); // more than the kernel's send queue takes
    const total = pieces.reduce((sum, size) => sum + size, 0);
    const buffer = new Uint8Array(300_000);
    const fill = (at: number, size: number): Uint8Array => {
      buffer.fill(0);
      buffer.set(pattern(at, at + size));
      return buffer.subarray(0, size);
    };
    const pull = (): Response => {
      let at = 0;
      const rest = [...pieces];
      return new Response(
        new ReadableStream(
          {
            pull(controller) {
              const size = rest.shift();
              if (size === undefined) return controller.close();
              controller.enqueue(fill(at, size));
              at += size;
            },
          },
          { highWaterMark: 0 },
        ),
      );
    };
    const direct = (): Response =>
      new Response(
        new ReadableStream({
          type: "direct",
          async pull(controller: { write(piece: Uint8Array): unknown; end(): unknown }) {
            let at = 0;
            for (const size of pieces) {
              await controller.write(fill(at, size));
              at += size;
            }
            controller.end();
          },
        } as unknown as ConstructorParameters<typeof ReadableStream>[0]),
      );
    using harness = new FetchHarness((request) => (request.url.endsWith("/direct") ? direct() : pull()));
    for (const path of ["/pull", "/direct"]) {
      const client = harness.client();
      client.setsockopt(SOL_SOCKET, SO_RCVBUF, 65_536);
      client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      await harness.idle(50); // the queue fills up
      const [response] = parseResponses(await harness.rest(client));
      expect([path, hash(Buffer.from(response?.body ?? "", "latin1"))]).toEqual([path, hash(pattern(0, total))]);
      client.close();
    }
  }));

test("small pieces are sent although the next one is not available yet", () =>
  leavesNoFd(async () => {
    let resume: (() => void) | undefined;
    using harness = new FetchHarness(() => {
      let count = 0;
      return new Response(
        new ReadableStream({
          async pull(controller) {
            if (count === 50) await new Promise<void>((resolve) => (resume = resolve));
            if (count++ === 100) controller.close();
            else controller.enqueue(Buffer.from("piece"));
          },
        }),
      );
    });
    const client = harness.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const first = await harness.text(client, /(?:5\r\npiece\r\n){50}$/);
    await harness.until(() => resume !== undefined);
    resume?.();
    const [response] = parseResponses(first + (await harness.text(client, /\r\n0\r\n\r\n$/)));
    expect(response?.body).toBe("piece".repeat(100));
    client.close();
  }));

test("without eager, an upload is received with one call of 1024 bytes per event", () =>
  leavesNoFd(async () => {
    let calls = 0;
    const lengths = new Set<number>();
    const sys = sysWith((host) => ({
      recv(fd, bytes, start, length, flags) {
        calls++;
        lengths.add(length);
        return host.recv(fd, bytes, start, length, flags);
      },
    }));
    const body = pattern(1, 20_000);
    const answer = async (request: Request): Promise<Response> => new Response(hash(await request.bytes()));
    using harness = new FetchHarness(answer, { eager: false }, sys);
    const client = harness.client();
    client.send(post("/bytes", body));
    let text = "";
    while (!text.includes(hash(body))) {
      const before = calls;
      expect(harness.server.tick(1000)).toBeLessThanOrEqual(1);
      expect(calls - before).toBeLessThanOrEqual(1);
      await new Promise((resolve) => setImmediate(resolve));
      text += Buffer.from(client.recv(MIB) ?? []).toString();
    }
    expect([...lengths]).toEqual([1024]);
  }));

test("a quiet stream holds no buffer", () =>
  leavesNoFd(async () => {
    const end = Promise.withResolvers<void>();
    const stream = (): ReadableStream =>
      new ReadableStream({
        async start(controller) {
          controller.enqueue(Buffer.from("one piece"));
          await end.promise;
          controller.close();
        },
      });
    using harness = new FetchHarness(() => new Response(stream()));
    const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await harness.text(client, /one piece/);
    const free = takeBodyBuffer(BATCH_BYTES);
    expect(free.toString("latin1", 0, 14)).toBe("9\r\none piece\r\n"); // the buffer of the stream
    releaseBodyBuffer(free);
    end.resolve();
    await harness.text(client, /0\r\n\r\n$/);
  }));
