// A stop while clients keep connecting and sending requests: it completes, and no response is cut off.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { EpollServer, type Socket } from "../../src/index.ts";
import { modeNames, modes } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { GET, SENTENCE, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const caught = (): string | undefined => /SigCgt:.*/.exec(readFileSync("/proc/self/status", "utf8"))?.[0];

for (const mode of modeNames) {
  test(`stops within a second even if clients connect in every iteration and send more requests, ${mode}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness(modes[mode]);
      const texts = new Map<Socket, string>();
      const connect = (): void => {
        try {
          texts.set(harness.client(GET), "");
        } catch {
          // refused: the listener is closed
        }
      };
      /** Reads, and sends the next request immediately after each response. */
      const ask = (client: Socket): void => {
        try {
          const bytes = client.recv(100_000);
          if (bytes === null) return;
          if (bytes.length === 0) return client.close();
          texts.set(client, (texts.get(client) ?? "") + Buffer.from(bytes).toString());
          client.send(GET);
        } catch {
          client.close(); // reset: it sent another request after Connection: close
        }
      };
      for (let iteration = 0; iteration < 50; iteration++) {
        connect();
        harness.server.tick(0);
        for (const client of texts.keys()) if (!client.closed) ask(client);
      }
      void harness.server.stop({ graceMs: 1e9 });
      for (let iteration = 0; iteration < 500 && !harness.server.closed; iteration++) {
        connect();
        harness.clock.ms += 10;
        harness.server.tick(0);
        for (const client of texts.keys()) if (!client.closed) ask(client);
      }
      expect(harness.server.closed).toBe(true);
      for (const text of texts.values()) if (text !== "") expect(text).toEndWith(SENTENCE);
    }));
}

test("an error in onRunning is thrown by run() after everything is closed and the signals are restored", () =>
  leavesNoFd(() => {
    const before = caught();
    const server = new EpollServer();
    expect(() =>
      server.run(() => {
        throw new Error("from the application");
      }),
    ).toThrow("from the application");
    expect(server.closed).toBe(true);
    expect(caught()).toBe(before);
  }));
