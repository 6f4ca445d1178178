// Slow clients, on the real clock: each connection is closed after its timeout, and other clients are served meanwhile.

import { expect, setDefaultTimeout, test } from "bun:test";
import { SO_RCVBUF, SOL_SOCKET } from "../../src/index.ts";
import { ask, Client, type Mode, modes } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { waitUntilIdle } from "../support/message-process.ts";
import { ServerProcess } from "../support/server-process.ts";

setDefaultTimeout(60_000);

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const both = ["classic", "eager"] as const satisfies Mode[];

for (const mode of both) {
  test(`resets a client that never reads after writeTimeoutMs, and serves others meanwhile, ${mode}`, async () => {
    await using server = await ServerProcess.start({ ...modes[mode], writeTimeoutMs: 700 }, { bodyBytes: 16_000_000 });
    const { fds } = server;
    using stuck = new Client(server.address);
    stuck.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 8192); // set before anything is received: otherwise the whole response might fit
    stuck.send(GET);
    expect(ask(server.address, "HEAD / HTTP/1.0\r\n\r\n").status).toBe(200);
    expect(ask(server.address, "GET / HTTP/1.0\r\n\r\n").body).toHaveLength(16_000_000);
    await eventually(
      () => server.fds,
      (now) => now === fds,
    );
    expect(stuck.fate()).toBe("reset");
    await waitUntilIdle(server);
    const { stats } = await server.stop();
    expect(stats).toMatchObject({ timeouts: 1, open: 0, requests: 3 });
  });

  test(`after headerTimeoutMs, responds with 408 to half a head, and closes a silent connection without a response, ${mode}`, async () => {
    await using server = await ServerProcess.start({ ...modes[mode], headerTimeoutMs: 400 });
    const { fds } = server;
    const begun = performance.now();
    using half = new Client(server.address, GET.slice(0, 20));
    using silent = new Client(server.address);
    expect(ask(server.address).status).toBe(200);
    const { status, headers } = half.readResponse();
    expect(performance.now() - begun).toBeGreaterThanOrEqual(400);
    expect({ status, connection: headers["connection"] }).toEqual({ status: 408, connection: "close" });
    expect(half.rest()).toBe("");
    expect(silent.rest()).toBe("");
    await eventually(
      () => server.fds,
      (now) => now <= fds + 1,
    ); // the connection that got 408 may be lingering
    half.close();
    silent.close();
    await eventually(
      () => server.fds,
      (now) => now === fds,
    );
    await waitUntilIdle(server);
    const { stats } = await server.stop();
    expect(stats).toMatchObject({ timeouts: 2, rejected: 1, requests: 1, errors: 0 });
  });
}

test("closes an idle connection after idleTimeoutMs, but not one that keeps sending requests", async () => {
  await using server = await ServerProcess.start({ idleTimeoutMs: 600 });
  const { fds } = server;
  using idle = new Client(server.address);
  using busy = new Client(server.address);
  const begun = performance.now(); // before the requests: the timeout cannot begin earlier
  for (const client of [idle, busy]) client.send(GET);
  for (const client of [idle, busy]) expect(client.readResponse().status).toBe(200);
  let isClosed = false;
  while (!isClosed) {
    busy.send(GET);
    expect(busy.readResponse().status).toBe(200);
    isClosed = idle.socket.recv(1)?.length === 0;
    if (!isClosed) await Bun.sleep(20); // well within idleTimeoutMs
  }
  expect(performance.now() - begun).toBeGreaterThanOrEqual(600);
  busy.close();
  await eventually(
    () => server.fds,
    (now) => now === fds,
  );
  expect((await server.stop()).stats).toMatchObject({ timeouts: 1, accepted: 2 });
});

test("closes a connection whose client does not close its side, without waiting for another event", async () => {
  await using server = await ServerProcess.start({ keepAlive: false });
  const { fds } = server;
  using client = new Client(server.address, GET);
  expect(client.readResponse().status).toBe(200);
  expect(client.rest()).toBe("");
  expect(server.fds).toBe(fds + 1); // it waits for the client to close its side
  await eventually(
    () => server.fds,
    (now) => now === fds,
  );
  expect((await server.stop()).stats).toMatchObject({ requests: 1, open: 0 });
});
