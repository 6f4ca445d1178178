// class Target: a server on its own thread, which pauses and resumes on command, reports every event and closes every fd.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type InternetAddress } from "../../src/index.ts";
import { Target } from "../../src/tools/debugger/target.ts";
import type { TraceEvent } from "../../src/trace/events.ts";
import { Client } from "../support/client.ts";
import { eventuallyLeavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const options = { hostname: "127.0.0.1", deferAccept: false };

test("serves, reports every event, and ends", () =>
  eventuallyLeavesNoFd(async () => {
    const events: TraceEvent[] = [];
    const target = await Target.start({ server: options, pollMs: 20, onEvents: (batch) => events.push(...batch) });
    for (let i = 0; i < 200; i++) expect((await fetch(target.location.url)).status).toBe(200);
    await target.end();
    expect(target.state).toBe("ended");
    expect(target.stats).toMatchObject({ requests: 200, open: 0 });
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    expect(events.filter(({ type }) => type === "send")).toHaveLength(200);
  }));

test("does nothing while paused, and continues on command", async () => {
  const target = await Target.start({ server: options, pollMs: 20, isPaused: true });
  try {
    expect((await target.stopped).event).toMatchObject({ type: "wait", iteration: 1 });
    using client = new Client(target.location.addresses[0] as InternetAddress, GET);
    await Bun.sleep(0);
    expect(client.socket.recv(1)).toBeNull();
    expect((await target.go({ kind: "next" })).event).toMatchObject({
      type: "wait",
      events: [[expect.any(Number), 1]],
    });
    expect((await target.go({ kind: "step" })).event).toMatchObject({ type: "accept" });
    expect(await target.evaluate("event.type + iteration")).toBe('"accept2"');
    expect(await target.evaluate("server.stats.accepted")).toBe("0"); // paused within accept: the loop has not counted it yet
    void target.go({ kind: "continue" });
    expect(client.readResponse().status).toBe(200);
    target.pause();
    expect((await target.stopped).hasEnded).toBe(false);
  } finally {
    await target.end();
  }
});

test("rejects with the message and the code of EpollServer's error", async () => {
  await using other = new EpollServer(options);
  await expect(Target.start({ server: { ...options, port: other.port } })).rejects.toMatchObject({
    message: expect.stringContaining("EADDRINUSE"),
    code: "EADDRINUSE",
  });
  await expect(Target.start({ server: { backlog: 0 } })).rejects.toThrow("backlog");
});

test("closes everything if it is ended while it is pausing", () =>
  eventuallyLeavesNoFd(async () => {
    for (let i = 0; i < 5; i++) {
      const target = await Target.start({ server: options, pollMs: 1 });
      using _client = new Client(target.location.addresses[0] as InternetAddress);
      target.pause();
      Bun.sleepSync(50); // it has paused, but this thread has not received the message
      await target.end();
    }
  }));
