// Direct streams, side by side with Bun.serve, and the global ReadableStream that remembers their sources.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { EpollServer } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";

setDefaultTimeout(60_000);

type Controller = ReadableStreamDirectController & { close(error?: unknown): void; error(error: unknown): void };
type Pull = (this: unknown, controller: Controller) => unknown;

const direct = (pull: Pull | undefined, cancel?: (reason: unknown) => unknown): ReadableStream =>
  new ReadableStream({ type: "direct", pull, cancel } as never);
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const never = (): Promise<never> => new Promise(() => {});

/** Bun.serve and EpollServer, each as a function that starts a server and returns its URL. */
const servers = {
  "Bun.serve": (fetch: () => Response) => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch, error: () => new Response("error") });
    return { url: String(server.url), [Symbol.asyncDispose]: () => server.stop(true) };
  },
  EpollServer: (fetch: () => Response) => {
    const server = new EpollServer({ port: 0, hostname: "127.0.0.1", fetch });
    void server.start();
    return { url: `http://127.0.0.1:${server.port}/`, [Symbol.asyncDispose]: () => server.stop({ graceMs: 0 }) };
  },
};

describe("as in Bun.serve", () => {
  const bodies: Record<string, [pull: Pull | undefined, expected: string]> = {
    "a promise of pull that resolves ends the body": [
      async (controller) => {
        controller.write("ab");
        await tick();
        controller.write("c");
      },
      "abc",
    ],
    "a promise that resolves without a write ends the body": [() => Promise.resolve(), ""],
    "without pull, the body is empty": [undefined, ""],
    "a pull that returns continues until end()": [
      (controller) => {
        controller.write("a");
        setTimeout(() => {
          controller.write("b");
          setTimeout(() => (controller.write("c"), controller.end()), 1);
        }, 1);
      },
      "abc",
    ],
    "a pull that returns a value or a thenable continues until end()": [
      (controller) => {
        setTimeout(() => (controller.write("abc"), controller.end()), 5);
        // oxlint-disable-next-line unicorn/no-thenable -- that is what is tested
        return { then: (resolve: () => void) => resolve() };
      },
      "abc",
    ],
    "a pull that returns before the first write": [
      (controller) => void setTimeout(() => (controller.write("abc"), controller.close()), 5),
      "abc",
    ],
    "an error after end() has no effect": [
      (controller) => {
        controller.write("abc");
        controller.end();
        throw new Error("after the end");
      },
      "abc",
    ],
    "a rejection after end() has no effect": [
      async (controller) => {
        controller.write("abc");
        controller.end();
        await tick();
        throw new Error("after the end");
      },
      "abc",
    ],
    "end() ends the body while the promise of pull is pending": [
      (controller) => {
        controller.write("abc");
        controller.end();
        return never();
      },
      "abc",
    ],
    "a second end() has no effect": [
      (controller) => {
        controller.write("abc");
        controller.end();
        const results = [controller.end(), controller.close()] as unknown[];
        if (results.some((result) => result !== undefined)) throw new Error("end() returned a value");
      },
      "abc",
    ],
    "all kinds of chunks": [
      (controller) => {
        const lengths = [
          "é",
          new Uint8Array([97, 98]),
          new Uint16Array([0x6463]),
          new DataView(new ArrayBuffer(1)),
          "",
        ];
        const counts = [...lengths, new Uint8Array([101]).buffer].map((chunk) => controller.write(chunk as never));
        controller.write(` ${counts.slice(1)}`);
        controller.end();
      },
      "éabcd\0e 2,2,1,0,1",
    ],
    "other chunks throw": [
      (controller) => {
        for (const chunk of [undefined, null, 1, {}, true, new Blob(["a"])]) {
          let thrown: unknown;
          try {
            controller.write(chunk as never);
          } catch (error) {
            thrown = error;
          }
          controller.write(String(thrown instanceof TypeError)[0] as string);
        }
        controller.end();
      },
      "tttttt",
    ],
    "writing after the end throws": [
      async (controller) => {
        controller.write("abc");
        controller.end();
        expect(() => controller.write("d")).toThrow(/has (?:already been closed|ended)/);
        expect(() => controller.flush()).toThrow(/has (?:already been closed|ended)/);
      },
      "abc",
    ],
    "chunks are copied": [
      async (controller) => {
        const chunk = new Uint8Array(3).fill(97);
        controller.write(chunk);
        chunk.fill(98);
        controller.write(chunk);
        await controller.flush();
        chunk.fill(99);
      },
      "aaabbb",
    ],
  };
  const failures: Record<string, Pull> = {
    "an error of pull": () => {
      throw new Error("failed");
    },
    "an error of pull after a write": (controller) => {
      controller.write("abc");
      throw new Error("failed");
    },
    "a rejection": () => Promise.reject(new Error("failed")),
    "a rejection after a flush": async (controller) => {
      controller.write("abc");
      await controller.flush();
      await tick();
      throw new Error("failed");
    },
  };

  for (const [name, start] of Object.entries(servers)) {
    for (const [title, [pull, expected]] of Object.entries(bodies)) {
      test(`${name}: ${title}`, () =>
        leavesNoFd(async () => {
          let pulls = 0;
          let isThis = false;
          let canceled = 0;
          const make = (): ReadableStream => {
            const source = {
              type: "direct",
              cancel: () => void canceled++,
              ...(pull !== undefined && {
                pull(this: unknown, controller: Controller): unknown {
                  pulls++;
                  isThis = this === source;
                  return pull.call(this, controller);
                },
              }),
            };
            return new ReadableStream(source as never);
          };
          await using server = start(() => new Response(make()));
          const response = await fetch(server.url, { headers: { Connection: "close" } });
          const text = await response.text();
          const count = pull === undefined ? 0 : 1;
          expect([response.status, text, pulls, isThis, canceled]).toEqual([200, expected, count, count === 1, 0]);
        }));
    }

    test(`${name}: HEAD cancels the stream instead of pulling it`, async () => {
      let pulls = 0;
      const reason = Promise.withResolvers<unknown>();
      await using server = start(() => new Response(direct(() => void pulls++, reason.resolve)));
      const response = await fetch(server.url, { method: "HEAD" });
      expect([response.status, await reason.promise, pulls]).toEqual([200, undefined, 0]);
    });

    test(`${name}: a client that leaves cancels the stream; writes then return 0`, async () => {
      const canceled = Promise.withResolvers<unknown>();
      const results = Promise.withResolvers<unknown[]>();
      const pull: Pull = async (controller) => {
        controller.write("abc");
        await controller.flush();
        await canceled.promise;
        results.resolve([controller.write("d"), controller.flush(), controller.end()]);
      };
      await using server = start(() => new Response(direct(pull, canceled.resolve)));
      const client = new AbortController();
      const response = await fetch(server.url, { signal: client.signal });
      await response.body?.getReader().read();
      client.abort();
      expect(((await canceled.promise) as Error).name).toBe("AbortError");
      expect(await results.promise).toEqual([0, 0, undefined]);
    });

    test(`${name}: a write that waits for a slow client resolves when the client leaves`, async () => {
      const isWaiting = Promise.withResolvers<void>();
      const canceled = Promise.withResolvers<unknown>();
      const result = Promise.withResolvers<unknown>();
      const pull: Pull = async (controller) => {
        controller.write("abc");
        await tick();
        let isGone = false;
        void canceled.promise.then(() => (isGone = true));
        for (;;) {
          const written = controller.write(new Uint8Array(1_000_000)) as number | Promise<number>;
          if (written instanceof Promise) isWaiting.resolve();
          const bytes = await written;
          await tick();
          if (isGone) return result.resolve(written instanceof Promise ? bytes : 1_000_000);
        }
      };
      await using server = start(() => new Response(direct(pull, canceled.resolve)));
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: Number(new URL(server.url).port),
        socket: { data: (connection) => void connection.pause() },
      });
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await isWaiting.promise;
      socket.terminate();
      await canceled.promise;
      expect(await result.promise).toBe(1_000_000);
    });
  }

  // Bun.serve also resets these connections, but prints the errors, which the test runner counts.
  for (const [title, pull] of Object.entries(failures)) {
    test(`${title} resets the connection, and does not cancel the stream`, () =>
      leavesNoFd(async () => {
        const errors: string[] = [];
        let canceled = 0;
        using harness = new FetchHarness(() => new Response(direct(pull, () => void canceled++)), {
          onError: (error) => void errors.push(String(error)),
        });
        const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await harness.until(() => harness.server.stats.accepted === 1 && harness.server.stats.open === 0);
        expect([harness.fate(client), errors, canceled]).toEqual(["reset", ["Error: failed"], 0]);
      }));
  }
});

describe("in EpollServer", () => {
  test("close(error) and error(error) reset the connection", async () => {
    const pulls: Pull[] = [
      (controller) => controller.close(new Error("failed")),
      (controller) => controller.error(new Error("failed")),
      async (controller) => {
        controller.write("abc");
        await tick();
        controller.close(new Error("failed"));
        await never();
      },
    ];
    for (const pull of pulls) {
      const errors: string[] = [];
      using harness = new FetchHarness(() => new Response(direct(pull)), {
        onError: (error) => void errors.push(String(error)),
      });
      const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await harness.until(() => harness.server.stats.accepted === 1 && harness.server.stats.open === 0);
      expect([harness.fate(client), errors]).toEqual(["reset", ["Error: failed"]]);
    }
  });

  test("a write waits for a slow client, so that the memory in use has a bound", async () => {
    let written = 0;
    const total = 300;
    const chunk = new Uint8Array(100_000).fill(97);
    const pull: Pull = async (controller) => {
      for (let i = 0; i < total; i++) {
        await controller.write(chunk);
        written++;
      }
    };
    using harness = new FetchHarness(() => new Response(direct(pull)));
    const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await harness.idle(200);
    expect(written).toBeLessThan(total);
    const [response] = parseResponses(await harness.rest(client));
    expect([response?.body.length, written]).toEqual([total * chunk.length, total]);
  });

  test("a stream that writes nothing is canceled after handlerTimeoutMs", async () => {
    let reason: unknown;
    const make = (): ReadableStream =>
      direct(
        (controller) => void controller.write("abc"),
        (error) => void (reason = error),
      );
    using harness = new FetchHarness(() => new Response(make()), { handlerTimeoutMs: 1000 });
    const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await harness.text(client, /abc/);
    harness.clock.ms += 5000;
    await harness.until(() => reason !== undefined && harness.server.stats.open === 0);
  });

  test("errors of cancel have no effect", async () => {
    for (const cancel of [() => Promise.reject(new Error("a")), () => JSON.parse("{")]) {
      let canceled = 0;
      const make = (): ReadableStream => direct(never, () => (canceled++, cancel()));
      using harness = new FetchHarness(() => new Response(make()));
      const text = await harness.rest(harness.client("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
      expect(text).toStartWith("HTTP/1.1 200 ");
      expect(canceled).toBe(1);
    }
  });

  test("a stream is sent once", async () => {
    const statuses: number[] = [];
    const errors: string[] = [];
    const stream = direct((controller) => (controller.write("a"), controller.end()));
    using harness = new FetchHarness(() => new Response(stream), {
      onError: (error) => void errors.push(String(error)),
    });
    for (let i = 0; i < 2; i++) statuses.push((await harness.ask("GET / HTTP/1.1")).status);
    expect([statuses, errors.length]).toEqual([[200, 500], 1]);
  });

  test("a direct stream that echoes the body of its request", async () => {
    using harness = new FetchHarness((request) => {
      const pull: Pull = async (controller) => {
        for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) controller.write(chunk);
      };
      return new Response(direct(pull));
    });
    const body = "x".repeat(300_000);
    const response = await harness.ask(`POST / HTTP/1.1\r\nContent-Length: ${body.length}`, body);
    expect(response.body === body).toBe(true);
  });

  test("a subclass of ReadableStream, and a stream that a second Response takes over", async () => {
    class Own extends (ReadableStream as new (source: unknown) => ReadableStream) {}
    const makes = [
      (pull: Pull) => new Response(new Own({ type: "direct", pull })),
      (pull: Pull) => new Response(new Response(direct(pull)).body),
      (pull: Pull) => new Response(new Response(direct(pull)).body, { headers: { "X-A": "b" } }),
      (pull: Pull) => new Response(Reflect.construct(direct(pull).constructor, [{ type: "direct", pull }])),
    ];
    for (const make of makes) {
      using harness = new FetchHarness(() =>
        make((controller) => void setTimeout(() => (controller.write("abc"), controller.end()), 1)),
      );
      expect((await harness.ask("GET / HTTP/1.1")).body).toBe("abc");
    }
  });
});

test("the global ReadableStream behaves like Bun's", () => {
  const script = join(import.meta.dir, "..", "support", "readable-stream-traits.ts");
  const run = (mode: string): string => {
    const { stdout, stderr } = Bun.spawnSync([process.execPath, script, mode]);
    expect(String(stderr)).toBe("");
    return String(stdout);
  };
  const expected = run("original");
  expect(expected).toContain("name ReadableStream");
  expect(run("replaced")).toBe(expected);
});
