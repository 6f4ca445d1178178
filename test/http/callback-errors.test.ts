// Errors of the application's callbacks: the connection is reset, and the error leaves the run loop, exactly once.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { callbackErrorCases, GET } from "../support/callback-errors.ts";
import { EpollServer, Socket } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { leavesNoFd } from "../support/fds.ts";
import { FetchHarness } from "../support/fetch-harness.ts";

setDefaultTimeout(60_000);

describe("with tick()", () => {
  for (const { name, input = GET, options } of callbackErrorCases) {
    test(`${name}: the client is reset, and tick() throws the error once`, () =>
      leavesNoFd(async () => {
        const { fetch, ...others } = options;
        using harness = new FetchHarness(fetch, others);
        const client = harness.client(input);
        const errors: string[] = [];
        const iterate = async (): Promise<void> => {
          try {
            harness.server.tick(0);
          } catch (error) {
            errors.push((error as Error).message);
          }
          await Bun.sleep(0);
        };
        await eventually(iterate, () => errors.length > 0 && harness.server.stats.open === 0);
        for (let i = 0; i < 10; i++) await iterate();
        expect(errors).toEqual(["the callback's"]);
        expect(harness.fate(client)).toBe("reset");
      }));
  }
});

test("an error does not affect the other connections of its iteration, and all errors are thrown", () =>
  leavesNoFd(() => {
    using harness = new FetchHarness(({ url }) => new Response(new URL(url).pathname), {
      deferAccept: false,
      onRequest({ target }) {
        if (target !== "/good") throw new Error(target);
      },
    });
    const paths = ["/bad1", "/good", "/bad2", "/good"];
    const clients = paths.map(() => harness.client());
    harness.settle();
    for (const [i, path] of paths.entries()) clients[i]?.send(GET.replace("/", path));
    expect(() => harness.server.tick(0)).toThrow("/bad1");
    for (const i of [1, 3]) expect(Buffer.from(clients[i]?.recv(1000) ?? "").toString()).toEndWith("/good");
    expect(() => harness.server.tick(0)).toThrow("/bad2");
    harness.server.tick(0);
    expect([0, 2].map((i) => harness.fate(clients[i] as Socket))).toEqual(["reset", "reset"]);
  }));

test("with start(), each client is reset, each error is uncaught once, and the server continues", async () => {
  const program = new URL("../support/callback-errors-process.ts", import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, program], { stdout: "pipe", stderr: "pipe" });
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect([errors, child.exitCode]).toEqual(["", 0]);
  const results = output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  expect(results).toEqual(
    callbackErrorCases.map(({ name }) => ({
      name,
      fates: ["ECONNRESET", "ECONNRESET"],
      errors: ["the callback's", "the callback's"],
    })),
  );
});

describe("with run()", () => {
  // run() blocks Bun's event loop, so only what microtasks can complete.
  const cases = callbackErrorCases.filter(({ name }) => !/later|reading the body|fails|too long/.test(name));
  for (const { name, input = GET, options } of cases) {
    test(`${name}: the client is reset, and run() throws the error`, () =>
      leavesNoFd(() => {
        using server = new RunningServer({ hostname: "127.0.0.1", ...options });
        const client = server.client(input);
        expect(() => server.run()).toThrow("the callback's");
        expect(() => client.recv(1000)).toThrow("ECONNRESET");
      }));
  }
});

/** A server that has a client before it runs. */
class RunningServer extends EpollServer implements Disposable {
  readonly #clients: Socket[] = [];

  client(input: string): Socket {
    const client = new Socket();
    this.#clients.push(client);
    client.connect({ address: "127.0.0.1", port: this.port as number });
    client.send(input);
    return client;
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.close();
    if (!this.closed) void this.stop({ graceMs: 0 });
  }
}
