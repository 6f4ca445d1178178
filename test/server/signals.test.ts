// SIGTERM and SIGINT: pending requests are finished, new connections are refused, and a second signal closes everything.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { ErrnoError } from "../../src/index.ts";
import { ask, Client, modeNames, modes } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { ServerProcess } from "../support/server-process.ts";

setDefaultTimeout(60_000);

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** Returns whether new connections are refused. */
function isRefusing(server: ServerProcess): boolean {
  try {
    new Client(server.address).close();
    return false;
  } catch (error) {
    return (error as ErrnoError).code === "ECONNREFUSED"; // ECONNRESET: it was in the backlog when the listener was closed
  }
}

for (const mode of modeNames) {
  test(`responds with Connection: close to a request that was half received before SIGTERM, ${mode}`, async () => {
    await using server = await ServerProcess.start(modes[mode]);
    using half = new Client(server.address, GET.slice(0, 20));
    using idle = new Client(server.address, GET);
    idle.readResponse();
    expect(ask(server.address).status).toBe(200);
    server.kill("SIGTERM");
    await eventually(() => isRefusing(server), Boolean);
    expect(idle.rest()).toBe("");
    idle.close();
    half.send(GET.slice(20));
    expect(half.readResponse()).toMatchObject({ status: 200, headers: { connection: "close" } });
    expect(half.rest()).toBe("");
    half.close();
    const { ended, stats, before, after } = await server.waitFor("ended");
    expect(ended).toBe("SIGTERM");
    expect(stats).toMatchObject({ open: 0, requests: 3, errors: 0 });
    expect(after).toEqual(before);
    expect(await server.exited).toBe(0);
  });

  test(`sends a large response completely even if SIGINT arrives meanwhile, ${mode}`, async () => {
    await using server = await ServerProcess.start(modes[mode], { bodyBytes: 8_000_000 });
    using client = new Client(server.address, GET);
    using other = new Client(server.address, "HEAD / HTTP/1.0\r\n\r\n");
    other.readResponse(true);
    other.close();
    server.kill("SIGINT");
    await eventually(() => isRefusing(server), Boolean);
    expect(client.readResponse().body).toHaveLength(8_000_000);
    client.close();
    expect(await server.waitFor("ended")).toMatchObject({ ended: "SIGINT", stats: { open: 0, requests: 2 } });
  });
}

test("a second signal resets unfinished connections", async () => {
  await using server = await ServerProcess.start({ headerTimeoutMs: 1e9 });
  using half = new Client(server.address, GET.slice(0, 20));
  expect(ask(server.address).status).toBe(200);
  server.kill("SIGTERM");
  await eventually(() => isRefusing(server), Boolean);
  expect(half.socket.recv(1)).toBeNull();
  server.kill("SIGINT");
  expect(half.fate()).toBe("reset");
  expect(await server.waitFor("ended")).toMatchObject({ ended: "SIGTERM", stats: { open: 0 } });
});

test("a signal stops each of many servers in a row, and also reaches listeners of process.on", async () => {
  const rounds = 20;
  await using server = await ServerProcess.start({}, { rounds, hasListeners: true });
  for (let round = 1; round <= rounds; round++) {
    const signal = round % 2 === 0 ? "SIGINT" : "SIGTERM";
    await server.waitFor("serving", round);
    server.kill(signal);
    const { ended, listenerCalls, before, after } = await server.waitFor("ended", round);
    expect({ ended, listenerCalls }).toEqual({ ended: signal, listenerCalls: round });
    expect(after).toEqual(before);
  }
});

test("after a signal while many clients send requests, each gets a complete response or none", async () => {
  for (let attempt = 0; attempt < 5; attempt++) {
    await using server = await ServerProcess.start();
    const clients = Array.from({ length: 200 }, () => new Client(server.address));
    try {
      for (const client of clients.slice(0, 100)) client.send(GET);
      server.kill("SIGTERM");
      for (const client of clients.slice(100)) {
        try {
          client.send(GET);
        } catch {
          // the server has closed it already
        }
      }
      for (const client of clients.slice(0, 100)) {
        expect(client.readResponse().status).toBe(200); // its request was sent before the signal
      }
    } finally {
      for (const client of clients) client.close();
    }
    expect((await server.waitFor("ended")).stats.open).toBe(0);
  }
});

test("stop() in a callback ends run(), and an error in a callback is thrown by run() after everything is closed", async () => {
  await using server = await ServerProcess.start({ deferAccept: false }, { commands: true, rounds: 2 });
  using other = new Client(server.address);
  using client = new Client(server.address, GET.replace("/ ", "/stop "));
  expect(client.readResponse().status).toBe(200);
  expect(client.rest()).toBe("");
  expect(other.fate()).toBe("end");
  expect((await server.waitFor("ended")).ended).toBeNull();

  const { serving } = await server.waitFor("serving", 2);
  const [address] = serving;
  if (address === undefined) throw new Error("the server has no address");
  using bad = new Client(address, GET.replace("/ ", "/throw "));
  expect(bad.fate()).toBe("reset");
  const { threw, closed, before, after } = await server.waitFor("threw");
  expect({ threw, closed }).toEqual({ threw: "Error: onRequest has failed", closed: true });
  expect(after).toEqual(before);
  expect(await server.exited).toBe(0);
});
