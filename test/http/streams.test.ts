// Streams as bodies: chunks whose memory the application reuses, cancellation, and direct streams.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Socket } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";

setDefaultTimeout(60_000);

const ask = (version: string): string => `GET / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`;

/** Lets the server send until its output is stuck, then reads everything. */
async function readLate(harness: FetchHarness, client: Socket): Promise<string> {
  await harness.idle(100);
  return await harness.rest(client);
}

const COUNT = 40;
const value = (i: number): number => 1 + (i % 250);

/** Streams of COUNT chunks in the same memory. Each chunk has one value. */
const reusing: Record<string, (size: number) => ReadableStream> = {
  "a stream": (size) => {
    const chunk = new Uint8Array(size);
    let i = 0;
    return new ReadableStream(
      {
        pull(controller) {
          if (i === COUNT) return controller.close();
          controller.enqueue(chunk.fill(value(i++)));
        },
      },
      { highWaterMark: 0 },
    );
  },
  "an asynchronous stream": (size) => {
    const chunk = new Uint8Array(size);
    let i = 0;
    return new ReadableStream(
      {
        async pull(controller) {
          await Promise.resolve();
          if (i === COUNT) return controller.close();
          controller.enqueue(chunk.fill(value(i++)));
        },
      },
      { highWaterMark: 0 },
    );
  },
  "an async generator": (size) => {
    const chunk = new Uint8Array(size);
    return (async function* () {
      for (let i = 0; i < COUNT; i++) yield chunk.fill(value(i));
    })() as unknown as ReadableStream;
  },
  "a direct stream": (size) => {
    const chunk = new Uint8Array(size);
    return new ReadableStream({
      type: "direct",
      async pull(controller: ReadableStreamDirectController) {
        for (let i = 0; i < COUNT; i++) {
          controller.write(chunk.fill(value(i)));
          await controller.flush();
        }
        controller.end();
      },
    } as never);
  },
  "a byte stream": (size) => {
    let i = 0;
    return new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: size,
      pull(controller) {
        const view = controller.byobRequest?.view as Uint8Array;
        if (i === COUNT) {
          controller.close();
          return controller.byobRequest?.respond(0);
        }
        new Uint8Array(view.buffer, view.byteOffset, size).fill(value(i++));
        controller.byobRequest?.respond(size);
      },
    });
  },
  "a TransformStream": (size) => {
    const chunk = new Uint8Array(size);
    let i = 0;
    const source = new ReadableStream(
      {
        pull(controller) {
          if (i === COUNT) controller.close();
          else controller.enqueue(i++);
        },
      },
      { highWaterMark: 0 },
    );
    return source.pipeThrough(
      new TransformStream({ transform: (n, controller) => controller.enqueue(chunk.fill(value(n))) }),
    );
  },
  "a resizable buffer": (size) => {
    const buffer = new ArrayBuffer(size, { maxByteLength: size });
    let i = 0;
    return new ReadableStream(
      {
        pull(controller) {
          buffer.resize(0); // the last chunk is gone
          if (i === COUNT) return controller.close();
          buffer.resize(size);
          controller.enqueue(new Uint8Array(buffer, 0, size).fill(value(i++)));
        },
      },
      { highWaterMark: 0 },
    );
  },
  "buffers that are transferred before the next chunk": (size) => {
    let chunk = new Uint8Array(0);
    let i = 0;
    return new ReadableStream(
      {
        pull(controller) {
          chunk.buffer.transfer();
          if (i === COUNT) return controller.close();
          chunk = new Uint8Array(size).fill(value(i++));
          controller.enqueue(chunk);
        },
      },
      { highWaterMark: 0 },
    );
  },
};

describe("a slow client gets the bytes that were enqueued", () => {
  for (const [name, make] of Object.entries(reusing)) {
    for (const size of [1000, 20_000, 400_000]) {
      test(`${name}, chunks of ${size} bytes`, () =>
        leavesNoFd(async () => {
          const expected = Array.from({ length: COUNT }, (_, i) => String.fromCharCode(value(i)).repeat(size)).join("");
          const lengths = [undefined, String(COUNT * size)];
          for (const [version, length] of [
            ["1.1", lengths[0]],
            ["1.1", lengths[1]],
            ["1.0", lengths[0]],
          ] as const) {
            using harness = new FetchHarness(
              () => new Response(make(size), length === undefined ? {} : { headers: { "Content-Length": length } }),
            );
            const client = harness.client(ask(version));
            const [response] = parseResponses(await readLate(harness, client));
            expect(response?.body === expected).toBe(true);
          }
        }));
    }
  }
});

test("a chunk that is transferred as soon as it was enqueued fails, and is not left out", () =>
  leavesNoFd(async () => {
    const errors: string[] = [];
    const make = (): ReadableStream =>
      new ReadableStream({
        pull(controller) {
          const chunk = new Uint8Array(10);
          controller.enqueue(chunk);
          chunk.buffer.transfer();
          controller.close();
        },
      });
    using harness = new FetchHarness(() => new Response(make()), {
      onError: (error) => void errors.push(String(error)),
    });
    const client = harness.client(ask("1.1"));
    await harness.until(() => harness.server.stats.accepted === 1 && harness.server.stats.open === 0);
    expect(harness.fate(client)).toBe("reset");
    expect(errors).toEqual([expect.stringContaining("was transferred after it was enqueued")]);
  }));

test("cancels the source of a pipeline when the client resets the connection", () =>
  leavesNoFd(async () => {
    const pipelines: ((source: ReadableStream) => ReadableStream)[] = [
      (source) => source.pipeThrough(new CompressionStream("gzip") as unknown as TransformStream),
      (source) => source.pipeThrough(new TransformStream()),
      (source) =>
        source
          .pipeThrough(new TransformStream())
          .pipeThrough(new CompressionStream("deflate") as unknown as TransformStream),
    ];
    for (const pipeline of pipelines) {
      let isCanceled = false;
      let pulls = 0;
      const source = (): ReadableStream =>
        new ReadableStream({
          async pull(controller) {
            pulls++;
            await new Promise((resolve) => setImmediate(resolve));
            controller.enqueue(crypto.getRandomValues(new Uint8Array(10_000)));
          },
          cancel: () => void (isCanceled = true),
        });
      using harness = new FetchHarness(() => new Response(pipeline(source())));
      const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await harness.text(client, /HTTP/);
      client.setLinger(0);
      client.close();
      await harness.until(() => isCanceled);
      await harness.until(() => harness.server.stats.open === 0);
      expect(pulls).toBeGreaterThan(0);
    }
  }));

describe("direct streams", () => {
  const direct = (pull: (controller: ReadableStreamDirectController) => unknown, cancel?: () => void): ReadableStream =>
    new ReadableStream({ type: "direct", pull, cancel } as never);
  const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test("are sent as they are flushed, by one call of pull", async () => {
    let pulls = 0;
    const rest = Promise.withResolvers<void>();
    const make = (): ReadableStream =>
      direct(async (controller) => {
        pulls++;
        controller.write("shell ");
        await controller.flush();
        await rest.promise;
        controller.write("content");
        controller.end();
      });
    using harness = new FetchHarness(() => new Response(make()));
    const client = harness.client(ask("1.1"));
    const begin = await harness.text(client, /shell /);
    rest.resolve();
    const [response] = parseResponses(begin + (await harness.rest(client)));
    expect([response?.body, pulls]).toEqual(["shell content", 1]);
  });

  test("end with end() or close(), synchronously or not", async () => {
    const pulls: ((controller: ReadableStreamDirectController) => unknown)[] = [
      (controller) => (controller.write("a"), controller.write("b"), controller.end()),
      (controller) => (controller.write("ab"), controller.close()),
      async (controller) => (controller.write("a"), await tick(), controller.write("b"), controller.end()),
    ];
    for (const pull of pulls) {
      using harness = new FetchHarness(() => new Response(direct(pull)));
      expect((await harness.ask("GET / HTTP/1.1")).body).toBe("ab");
    }
  });

  test("are canceled when the client resets the connection", async () => {
    let isCanceled = false;
    const make = (): ReadableStream =>
      direct(
        async (controller) => {
          while (!isCanceled) {
            controller.write(new Uint8Array(10_000));
            await controller.flush();
            await tick();
          }
        },
        () => void (isCanceled = true),
      );
    using harness = new FetchHarness(() => new Response(make()));
    const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await harness.text(client, /HTTP/);
    client.setLinger(0);
    client.close();
    await harness.until(() => isCanceled && harness.server.stats.open === 0);
  });
});

test("304 keeps the Content-Length of the handler, and 204 does not", async () => {
  for (const [status, expected] of [
    [304, "1234"],
    [204, undefined],
  ] as const) {
    using harness = new FetchHarness(
      () => new Response(null, { status, headers: { "Content-Length": "1234", ETag: '"a"' } }),
    );
    for (let i = 0; i < 3; i++) {
      const { headers } = await harness.ask("GET / HTTP/1.1");
      expect([headers["content-length"], headers["etag"]]).toEqual([expected, '"a"']);
    }
  }
  using harness = new FetchHarness(() => new Response(null, { status: 304 }));
  expect((await harness.ask("GET / HTTP/1.1")).headers["content-length"]).toBeUndefined();
});

test("205 has no content, whatever the handler responds with", async () => {
  const makes = [
    () => new Response("abc", { status: 205 }),
    () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue("abc") }), { status: 205 }),
    () => new Response(Bun.file(import.meta.path), { status: 205 }),
    () => new Response(null, { status: 205 }),
  ];
  for (const make of makes) {
    using harness = new FetchHarness(make);
    const text = await harness.rest(harness.client(ask("1.1")));
    expect(text).toMatch(/^HTTP\/1\.1 205 [^]*Content-Length: 0\r\n[^]*\r\n\r\n$/);
  }
  expect(() => new FetchHarness(undefined, { response: { status: 205, body: "abc" } })).toThrow(
    "205 response has no body",
  );
});
