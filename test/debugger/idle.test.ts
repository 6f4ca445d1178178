// The debugger and an idle server: it pauses and steps immediately, and does not wake the server meanwhile.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type InternetAddress, interestList } from "../../src/index.ts";
import { Target, type TargetOptions } from "../../src/tools/debugger/target.ts";
import type { TraceEvent } from "../../src/trace/events.ts";
import { Client } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { eventuallyLeavesNoFd } from "../support/fds.ts";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const server = { hostname: "127.0.0.1", deferAccept: false };

let folder = "";
const files = { blocking: "", watching: "", app: "" };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const library = JSON.stringify(join(root, "src", "index.ts"));
  const programs = {
    blocking: "for (;;) for (const [fd] of epoll.poll()) accept();",
    watching: "watch(listener, EPOLLIN, accept);",
  };
  for (const [name, loop] of Object.entries(programs)) {
    files[name as keyof typeof programs] = join(folder, `${name}.ts`);
    writeFileSync(
      join(folder, `${name}.ts`),
      `import { AF_INET, Epoll, EPOLLIN, SOCK_STREAM, Socket, watch } from ${library};
const listener = new Socket(AF_INET, SOCK_STREAM);
listener.bind({ address: "127.0.0.1", port: 0 });
listener.listen(8);
const epoll = new Epoll();
epoll.register(listener, EPOLLIN);
const accept = () => listener.accept()?.socket.close();
${loop}
`,
    );
  }
  files.app = join(folder, "app.ts");
  writeFileSync(files.app, 'export default { port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") };\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

const debuggees: [name: string, options: () => TargetOptions, waitsIn: object | string][] = [
  ["a server", () => ({ server }), { epfd: expect.any(Number), timeoutMs: -1 }],
  ["an app", () => ({ app: files.app, server: { deferAccept: false } }), "bun"],
  [
    "a program that blocks in epoll_wait",
    () => ({ program: [files.blocking] }),
    { epfd: expect.any(Number), timeoutMs: -1 },
  ],
  ["a program on Bun's event loop", () => ({ program: [files.watching] }), "bun"],
];

for (const [name, options, waitsIn] of debuggees) {
  test(`pauses and steps ${name} immediately, without an event`, () =>
    eventuallyLeavesNoFd(async () => {
      const events: TraceEvent[] = [];
      const target = await Target.start({ ...options(), onEvents: (batch) => events.push(...batch) });
      try {
        await eventually(
          () => target.location.addresses.length,
          (count) => count > 0,
        );
        // An event that the server reports before it waits is not the end of the wait.
        target.pause("page");
        let stop = await target.stopped;
        while (stop.reason.waitsIn === undefined) stop = await target.go({ kind: "step" });
        const waits = events.filter(({ type }) => type === "wait");
        expect(stop).toMatchObject({ hasEnded: false, reason: { waitsIn } });
        expect((await target.go({ kind: "step" })).reason).toEqual({ kind: "blocked", waitsIn: stop.reason.waitsIn });
        void target.go({ kind: "continue" }, "prompt");
        expect(await target.evaluate("40 + 2")).toBe("42"); // also without a pause
        target.pause("prompt");
        expect(await target.stopped).toMatchObject({ by: "prompt", reason: { kind: "pause", waitsIn } });
        void target.go({ kind: "continue" });
        expect(events.filter(({ type }) => type === "wait")).toEqual(waits);
        using _client = new Client(target.location.addresses[0] as InternetAddress, GET);
        await eventually(
          () => events.some(({ type }) => type === "accept"),
          (hasAccepted) => hasAccepted,
        );
      } finally {
        await target.end();
      }
    }));
}

test("the debugger's own registration is not in the interest list", async () => {
  const target = await Target.start({ server });
  try {
    target.pause();
    let stop = await target.stopped;
    while (stop.reason.waitsIn === undefined) stop = await target.go({ kind: "step" });
    const { waitsIn } = stop.reason;
    const epfd = typeof waitsIn === "object" ? waitsIn.epfd : -1;
    expect(interestList(epfd)).toHaveLength(1); // the listener
  } finally {
    await target.end();
  }
});

test("a timeout is kept while the debugger interrupts the wait", async () => {
  const startMs = performance.now();
  const waits: TraceEvent[] = [];
  const onEvents = (events: readonly TraceEvent[]): void => {
    waits.push(...events.filter(({ type }) => type === "wait"));
  };
  const target = await Target.start({ server, pollMs: 300, isPaused: true, onEvents });
  try {
    expect((await target.stopped).event).toMatchObject({ type: "wait", timeoutMs: 300, events: [] });
    const next = target.go({ kind: "next" });
    for (let i = 0; i < 20; i++) expect(await target.evaluate("1")).toBe("1");
    expect((await next).event).toMatchObject({ type: "wait", timeoutMs: 300, events: [], iteration: 2 });
    void target.go({ kind: "continue" });
    target.pause();
    while ((await target.stopped).reason.waitsIn === undefined) void target.go({ kind: "step" });
    Bun.sleepSync(1_000); // the time of a pause is not that of the wait
    expect((await target.go({ kind: "next" })).event).toMatchObject({ type: "wait", events: [] });
    const elapsedUs = (performance.now() - startMs) * 1000;
    expect(waits.at(-1)?.us).toBeLessThan(elapsedUs - 1_000_000);
  } finally {
    await target.end();
  }
});

test("ends a program that never returns to the debugger", () =>
  eventuallyLeavesNoFd(async () => {
    const file = join(folder, "spinning.ts");
    writeFileSync(file, "for (;;) Math.random();\n");
    const target = await Target.start({ program: [file] });
    await eventually(
      () => target.describeActivity(),
      (text) => text.startsWith("The program has been busy for "),
    );
    await target.end();
    expect(target.hasThreadEnded).toBe(true);
  }));
