// More clients than file descriptors, or than maxConnections: the rest wait in the backlog and are accepted later.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EMFILE } from "../../src/kernel/errno.ts";
import { Client, type Mode, modes } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, ServerHarness, sysWith } from "../support/server.ts";
import { eventually } from "../support/eventually.ts";
import { waitUntilIdle } from "../support/message-process.ts";
import { ServerProcess } from "../support/server-process.ts";

setDefaultTimeout(60_000);

const MAX_FDS = 64;
const CLIENTS = 100;

/** Clients that have each sent a request. Those that the server cannot accept wait in its backlog. */
class WaitingClients implements Disposable {
  readonly all: Client[] = [];
  readonly answered: Set<Client> = new Set();

  constructor(server: ServerProcess, count: number) {
    for (let i = 0; i < count; i++) this.all.push(new Client(server.address, GET));
  }

  /** How many have received a response so far. */
  get count(): number {
    for (const client of this.all) {
      if (!client.socket.closed && !this.answered.has(client) && (client.socket.recv(1000)?.length ?? 0) > 0) {
        this.answered.add(client);
      }
    }
    return this.answered.size;
  }

  async waitForResponses(count: number): Promise<void> {
    await eventually(
      () => this.count,
      (now) => now >= count,
    );
  }

  [Symbol.dispose](): void {
    for (const client of this.all) client.close();
  }
}

for (const mode of ["classic, keepAlive", "eager"] as const satisfies Mode[]) {
  test(`out of file descriptors: serves open connections, does not spin, and warns once each time, ${mode}`, () =>
    leavesNoFd(async () => {
      await using server = await ServerProcess.start(modes[mode], { maxFds: MAX_FDS });
      const { fds } = server;
      for (let round = 1; round <= 2; round++) {
        using clients = new WaitingClients(server, CLIENTS);
        const { warning, message } = await server.waitFor("warning", round);
        expect(warning).toBe("EMFILE");
        expect(message).toContain("ulimit -n");
        await clients.waitForResponses(MAX_FDS - fds - 1);
        const admitted = clients.count;
        expect(admitted).toBeLessThan(MAX_FDS);

        await waitUntilIdle(server);
        const [first] = clients.answered;
        for (let i = 0; i < 10; i++) {
          first?.send(GET);
          expect(first?.readResponse().status).toBe(200);
        }
        expect(clients.count).toBe(admitted);

        first?.close(); // then the next one is accepted
        await clients.waitForResponses(admitted + 1);
        while (clients.count < CLIENTS) {
          const before = clients.count;
          for (const client of clients.answered) client.close();
          await clients.waitForResponses(Math.min(CLIENTS, before + 1));
        }
        expect(server.all("warning")).toHaveLength(round);
        for (const client of clients.all) client.close();
        await eventually(
          () => server.fds,
          (now) => now === fds,
        );
        await waitUntilIdle(server);
      }
      const { stats } = await server.stop();
      expect(stats).toMatchObject({ accepted: 2 * CLIENTS, requests: 2 * (CLIENTS + 10), open: 0 });
      expect(server.all("warning")).toHaveLength(2);
    }));

  test(`accepts again when other file descriptors are closed, even if no connection closes, ${mode}`, () =>
    leavesNoFd(async () => {
      const options = { maxFds: MAX_FDS, heldFds: 30, commands: true };
      await using server = await ServerProcess.start(modes[mode], options);
      using caller = new Client(server.address, GET);
      caller.readResponse();
      using clients = new WaitingClients(server, 30);
      await server.waitFor("warning");
      await waitUntilIdle(server);
      expect(clients.count).toBeLessThan(30);
      caller.send("GET /release HTTP/1.1\r\nHost: a\r\n\r\n");
      caller.readResponse();
      await clients.waitForResponses(30);
      expect(server.all("warning")).toHaveLength(1);
    }));

  test(`maxConnections: further connections wait without a warning, and are accepted when one closes, ${mode}`, () =>
    leavesNoFd(async () => {
      await using server = await ServerProcess.start({ ...modes[mode], maxConnections: 5 });
      using clients = new WaitingClients(server, 20);
      await clients.waitForResponses(5);
      await waitUntilIdle(server);
      expect(clients.count).toBe(5);
      for (let expected = 6; expected <= 20; expected++) {
        const closing = [...clients.answered].find((client) => !client.socket.closed);
        closing?.close();
        await clients.waitForResponses(expected);
        expect(clients.count).toBe(expected);
      }
      const { stats } = await server.stop();
      expect(stats).toMatchObject({ accepted: 20, requests: 20 });
      expect(server.all("warning")).toEqual([]);
    }));
}

test("classic: serves every client, even if there are more of them than file descriptors", () =>
  leavesNoFd(async () => {
    await using server = await ServerProcess.start(modes.classic, { maxFds: MAX_FDS });
    using clients = new WaitingClients(server, 300);
    await clients.waitForResponses(300);
    await waitUntilIdle(server);
    const { stats } = await server.stop();
    expect(stats).toMatchObject({ accepted: 300, requests: 300, errors: 0 });
  }));

// accept4(2) allocates the fd before it checks whether a connection is pending.
test("does not warn if the last file descriptor is in use but no connection is pending", () =>
  leavesNoFd(() => {
    const warnings: string[] = [];
    let harness: ServerHarness | undefined;
    const sys = sysWith((host) => ({
      accept4: (...args) => ((harness?.server.stats.open ?? 0) >= 3 ? -EMFILE : host.accept4(...args)),
    }));
    using _ = (harness = new ServerHarness({ onWarning: ({ code }) => warnings.push(code) }, sys));
    const clients = [harness.client(GET), harness.client(GET), harness.client(GET)];
    for (const client of clients) harness.receive(client, complete);
    for (let i = 0; i < 5; i++) {
      clients.shift()?.close();
      harness.settle();
      const next = harness.client(GET);
      clients.push(next);
      harness.clock.ms += 100;
      harness.receive(next, complete);
      harness.clock.ms += 100;
      harness.settle();
    }
    expect(warnings).toEqual([]);
  }));
