// The inspector's server: access control, commands, event streams, test clients, and limits on everything that it stores.

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Message, TEST_CLIENT_KINDS, type TestClientKind } from "../../src/tools/inspector/messages.ts";
import { EventStream } from "../../src/tools/inspector/event-stream.ts";
import { Sampler } from "../../src/tools/debugger/sampler.ts";
import { eventually } from "../support/eventually.ts";
import { openFds } from "../support/fds.ts";
import { getWithToken, inspected, messages } from "../support/inspected.ts";
import { cli, root, run } from "../support/programs.ts";

setDefaultTimeout(60_000);

test("rejects requests with another Host or from another origin", async () => {
  await using it = await inspected();
  const { port } = new URL(it.page.url);
  const authorization = `Bearer ${it.token}`;
  const get = (path: string, headers: Record<string, string>): Promise<number> =>
    fetch(it.page.url + path, { headers: { Authorization: authorization, ...headers } }).then(({ status }) => status);
  expect(await get("", {})).toBe(200);
  expect(await get("", { Host: `localhost:${port}` })).toBe(200);
  for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1", `[::1]:${port}`, "127.0.0.1:1"]) {
    expect(await get("events", { Host: host })).toBe(403);
  }
  expect(await get("fd?fd=5", { Origin: "http://evil.example" })).toBe(403);
  expect(await get("fd?fd=5", { Origin: "null" })).toBe(403);
  expect(await get("main.js", { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors" })).toBe(403);
  expect(await get("", { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate" })).toBe(200); // following a link is harmless
  expect((await it.send({ kind: "pause" }, { Origin: "http://evil.example" })).status).toBe(403);
  expect((await it.send({ kind: "pause" }, { Origin: it.page.url.slice(0, -1) })).status).toBe(204);
});

test("listens on 127.0.0.1 only, and sends security headers with every response", async () => {
  await using it = await inspected();
  expect(new URL(it.page.url).hostname).toBe("127.0.0.1");
  for (const path of ["", "main.js", "stream-worker.js", "style.css", "nothing", "lessons"]) {
    const { headers } = await fetch(it.page.url + path);
    expect(headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
    expect(headers.get("content-security-policy")).not.toContain("unsafe");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("cache-control")).toBe("no-store");
  }
});

test("the page references no other host", async () => {
  await using it = await inspected();
  for (const path of ["", "main.js", "stream-worker.js", "style.css"]) {
    const text = await (await fetch(it.page.url + path)).text();
    const addresses = text.match(/(?:https?:)?\/\/[a-z][\w-]*\.[a-z]+[^"'`\s)]*/gi) ?? [];
    expect(addresses.filter((address) => !address.includes("www.w3.org"))).toEqual([]); // XML namespaces
  }
});

test.each([
  "events",
  "fds",
  "fd?fd=5",
  "connection?fd=5",
  "kernel",
  "timings",
  "interest-diff",
  "source?at=x",
  "lessons",
])("rejects /%s without a token, and says what to open", async (path) => {
  await using it = await inspected();
  for (const headers of [{}, { Authorization: `Bearer ${"0".repeat(32)}` }]) {
    const response = await fetch(it.page.url + path, { headers });
    expect(response.status).toBe(401);
    expect(await response.text()).toContain("the URL with a token that the terminal shows");
  }
});

test("rejects commands and lessons without the token", async () => {
  await using it = await inspected();
  for (const authorization of ["", "Bearer", "Bearer 0", `Bearer ${"0".repeat(32)}`, `Basic ${it.token}`, it.token]) {
    for (const path of ["commands", "lesson?id=hello"]) {
      const { status } = await fetch(it.page.url + path, {
        method: "POST",
        headers: { Authorization: authorization },
        body: '{"kind":"pause"}',
      });
      expect(status).toBe(401);
    }
  }
  const viewToken = new URL(it.page.viewUrl).hash.slice(1);
  const response = await it.send({ kind: "pause" }, { Authorization: `Bearer ${viewToken}` });
  expect(response.status).toBe(403);
  expect(await response.text()).toStartWith("View only: ");
  expect(it.view.state.run).toBe("running");
});

test.each([
  "",
  "not JSON",
  "null",
  "{}",
  '{"kind":"evaluate","expression":"process.exit()"}',
  '{"kind":"resume"}',
  '{"kind":"resume","mode":{"kind":"fly"}}',
  '{"kind":"resume","mode":{"kind":"return","fd":"5"}}',
  '{"kind":"set-speed","perSecond":-1}',
  '{"kind":"set-speed","perSecond":1e9}',
  '{"kind":"set-speed","perSecond":1e-320}',
  '{"kind":"resume","mode":{"kind":"return","fd":1.5}}',
  '{"kind":"add-breakpoint","on":"fd","value":1.5}',
  '{"kind":"add-breakpoint","on":"mask","value":0}',
  '{"kind":"add-breakpoint","on":"mask","value":1e300}',
  '{"kind":"add-breakpoint","on":"event","value":"nosuch"}',
  '{"kind":"add-breakpoint","on":"state","value":"nosuch"}',
  '{"kind":"add-breakpoint","on":"errno","value":0}',
  '{"kind":"add-breakpoint","on":"iteration","value":0}',
  '{"kind":"add-breakpoint","on":"fd","value":"5"}',
  '{"kind":"add-breakpoint","on":"event","value":"accept, process.exit()"}',
  '{"kind":"add-breakpoint","on":"condition","value":1}',
  '{"kind":"start-client","client":"unknown"}',
])("rejects an invalid command and says why: %p", async (body) => {
  await using it = await inspected();
  const response = await fetch(`${it.page.url}commands`, {
    method: "POST",
    headers: { Authorization: `Bearer ${it.token}` },
    body,
  });
  expect(response.status).toBe(400);
  expect(await response.text()).toMatch(/\w+/);
  expect(it.view.state).toMatchObject({ run: "running", breakpoints: [] });
});

test("rejects commands that are too large, other methods and unknown paths", async () => {
  await using it = await inspected();
  expect((await it.send({ kind: "pause", more: "x".repeat(10_000) })).status).toBe(413);
  expect((await fetch(it.page.url, { method: "DELETE" })).status).toBe(405);
  expect((await it.get("nothing")).status).toBe(404);
  expect((await fetch(it.page.url, { method: "HEAD" })).status).toBe(200);
  expect((await getWithToken(it.page.viewUrl, "events", { method: "HEAD" })).status).toBe(405); // the response would never end
});

test("serves source lines of this package, and no other file", async () => {
  await using it = await inspected();
  const response = await it.get("source?at=src/server/run-loop.ts:20");
  const lines = readFileSync(join(root, "src/server/run-loop.ts"), "utf8").split("\n");
  expect(await response.json()).toEqual({
    file: "src/server/run-loop.ts",
    first: 14,
    line: 20,
    lines: lines.slice(13, 26),
  });
  for (const at of [
    "/etc/passwd:1",
    "../etc/passwd:1",
    "src/../package.json:1",
    "src/server/run-loop.ts",
    "src/none.ts:1",
    "",
  ]) {
    expect((await it.get(`source?at=${encodeURIComponent(at)}`)).status).toBe(404);
  }
});

test("describes the file descriptors of the loop, and no others of this process", async () => {
  await using it = await inspected();
  await fetch(it.url);
  // The response may arrive before the sample that contains the connection.
  const entries = await eventually(
    () => it.view.latestSample?.entries ?? [],
    (all) => all.some(({ kind }) => kind === "connection"),
  );
  const describe = async (fd: number | string): Promise<unknown> => await (await it.get(`fd?fd=${fd}`)).json();
  const [listener] = entries;
  expect(await describe(listener?.fd ?? -1)).toMatchObject({
    fd: listener?.fd,
    why: expect.stringContaining("127.0.0.1"),
    facts: expect.arrayContaining([["TCP state", "LISTEN"]]),
  });
  const own = new Set(entries.map(({ fd }) => fd));
  const others = [...openFds().keys()].filter((fd) => !own.has(fd));
  const described = await Promise.all([...others, "", "-1", "x", "1e9"].map(describe));
  expect(described.filter((one) => one !== null)).toEqual([]);
});

test("executes pause, step, next, return, continue and breakpoints, and compares the interest list while paused", async () => {
  await using it = await inspected({ keepAlive: false, eager: false });
  expect((await it.get("interest-diff")).status).toBe(409);
  await it.send({ kind: "pause" });
  await it.waitFor("paused");
  expect(await (await it.get("interest-diff")).json()).toEqual({ messages: [], registered: 1 });

  const response = fetch(it.url);
  const walk: string[] = [];
  const resume = async (mode: object): Promise<void> => {
    await it.send({ kind: "resume", mode });
    await it.waitFor("paused");
    const event = it.view.target.stop?.event;
    walk.push(event?.type === "wait" ? `wait ${event.events.length}` : String(event?.type));
  };
  while (walk.at(-1) !== "wait 1") await resume({ kind: "next" });
  await resume({ kind: "step" });
  await resume({ kind: "step" });
  expect(walk.slice(-2)).toEqual(["accept", "state"]);
  await resume({ kind: "next" });
  await resume({ kind: "return", fd: 0 });
  expect(walk.at(-1)).toBe("recv");

  expect((await it.send({ kind: "add-breakpoint", on: "event", value: "close" })).status).toBe(204);
  await it.send({ kind: "resume", mode: { kind: "continue" } });
  expect(await (await response).text()).toBe("Hello from Epoll server!");
  await it.waitFor("paused");
  expect(it.view.target.stop?.event).toMatchObject({ type: "close" });
  const [breakpoint] = it.view.state.breakpoints;
  expect(it.view.state.breakpoint).toBe(breakpoint?.id);
  expect(breakpoint?.hits).toBe(1);
  await it.send({ kind: "remove-breakpoint", id: breakpoint?.id });
  expect(it.view.state.breakpoints).toEqual([]);
  await it.send({ kind: "resume", mode: { kind: "continue" } });
  expect((await fetch(it.url)).status).toBe(200);
});

test("slow motion steps from event to event until full speed", async () => {
  await using it = await inspected();
  let stops = 0;
  const unsubscribe = it.view.subscribe((message) => {
    if (message.kind === "state" && message.run === "paused") stops++;
  });
  const waitForStops = (count: number): Promise<number> =>
    eventually(
      () => stops,
      (now) => now >= count,
    );
  await it.send({ kind: "set-speed", perSecond: 100 });
  expect((await fetch(it.url)).status).toBe(200);
  expect(it.view.state.speed).toBe(100);
  await waitForStops(20);
  for (let i = 0; i < 12; i++) {
    await it.send({ kind: "set-speed", perSecond: 100 });
    await waitForStops(stops + 2);
    await it.waitFor("running");
    await it.send({ kind: "set-speed", perSecond: 0 }); // while a step is in progress
    expect((await fetch(it.url)).status).toBe(200);
  }
  await it.waitFor("running");
  unsubscribe();
});

test("a page receives past events, then new ones, without gaps as long as it keeps up", async () => {
  await using it = await inspected();
  for (let i = 0; i < 3; i++) await fetch(it.url);
  const abort = new AbortController();
  let next = 0;
  let requests = 0;
  for await (const message of messages(it.page.viewUrl, abort.signal)) {
    const samples = message.kind === "hello" ? message.samples : message.kind === "sample" ? [message.sample] : [];
    for (const { events, omitted } of samples) {
      for (const event of events) {
        expect(event.seq).toBe(next + 1);
        next = event.seq;
        if (event.type === "send") requests++;
      }
      expect(omitted).toBe(0);
    }
    if (message.kind === "hello") {
      expect(message.source).toBe("live");
      void (async () => {
        for (let i = 0; i < 5; i++) await fetch(it.url);
      })();
    }
    if (requests === 8) break;
  }
  abort.abort();
});

test("a page that does not read gets the latest events, and the number of skipped ones", async () => {
  const sampler = new Sampler();
  let total = 0;
  const observe = (count: number): void => {
    for (let i = 0; i < count; i++) {
      sampler.observe({ seq: ++total, us: total, iteration: 1, type: "recv", fd: 5, wanted: 10, result: 2 });
    }
  };
  observe(1);
  const stream = new EventStream({ kind: "sample", sample: sampler.take() }, () => {});
  for (let i = 0; i < 500; i++) {
    observe(50);
    stream.send({ kind: "sample", sample: sampler.take() });
  }
  let next = 1;
  let reads = 0;
  const reader = stream.body.getReader();
  while (next <= total) {
    const { value } = await reader.read();
    const message = JSON.parse(new TextDecoder().decode(value).slice("data: ".length)) as Message;
    if (message.kind !== "sample") throw new Error(message.kind);
    next += message.sample.omitted;
    for (const { seq } of message.sample.events) expect(seq).toBe(next++);
    reads++;
  }
  expect(next).toBe(total + 1);
  expect(reads).toBeLessThan(10);
  stream.close();
});

test("limits the number of pages; a page that disconnects makes room", async () => {
  await using it = await inspected();
  const responses: Response[] = []; // a response that is garbage collected ends its connection
  const open = async (signal: AbortSignal): Promise<number> => {
    const response = await getWithToken(it.page.viewUrl, "events", { signal });
    responses.push(response);
    return response.status;
  };
  const pages = Array.from({ length: 16 }, () => new AbortController());
  for (const { signal } of pages) expect(await open(signal)).toBe(200);
  const another = new AbortController();
  expect(await open(another.signal)).toBe(503);
  pages[0]?.abort();
  await eventually(
    () => open(another.signal),
    (status) => status === 200,
  );
  for (const page of [...pages, another]) page.abort();
});

/** What each kind of client eventually logs. */
const EXPECTED_LOGS: Record<TestClientKind, RegExp> = {
  request: /200 OK.*closed after the response/,
  pipeline: /received \d+ bytes: "HTTP\/1.1 200/,
  silent: /the server closed the connection|408/,
  "partial-head": /408/,
  drip: /sends one byte/,
  "half-close": /200 OK/,
  disconnect: /closed immediately/,
  reset: /reset \(RST\)/,
  garbage: /400/,
  "endless-head": /431|ECONNRESET|EPIPE/,
  "never-reads": /reads nothing/,
  burst: /200 OK/,
};

test("the server keeps serving with test clients of every kind", async () => {
  await using it = await inspected({ headerTimeoutMs: 500 });
  const abort = new AbortController();
  const stream = messages(it.page.viewUrl, abort.signal);
  await stream.next();
  for (const kind of TEST_CLIENT_KINDS) {
    expect((await it.send({ kind: "start-client", client: kind })).status).toBe(204);
  }
  const missing = new Set<TestClientKind>(TEST_CLIENT_KINDS);
  for await (const message of stream) {
    if (message.kind !== "test-clients") continue;
    for (const { kind, log } of message.testClients) {
      if (EXPECTED_LOGS[kind].test(log.join("; "))) missing.delete(kind);
    }
    if (missing.size === 0) break;
  }
  expect([...missing]).toEqual([]);
  abort.abort();
  expect((await fetch(it.url)).status).toBe(200);
});

test("limits the number of test clients; closing some makes room", async () => {
  await using it = await inspected();
  for (let i = 0; i < 4; i++) expect((await it.send({ kind: "start-client", client: "burst" })).status).toBe(204);
  const rejected = await it.send({ kind: "start-client", client: "silent" });
  expect(rejected.status).toBe(400);
  expect(await rejected.text()).toMatch(/^\d+ test clients are open: close some first\n$/);
  for (let id = 1; id <= 4; id++) await it.send({ kind: "close-client", id });
  expect((await it.send({ kind: "start-client", client: "silent" })).status).toBe(204);
});

test("runs lessons in their own process, at most two at a time", async () => {
  await using it = await inspected();
  const run = (id: string): Promise<Response> =>
    fetch(`${it.page.url}lesson?id=${id}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${it.token}` },
      body: "{}",
    });
  expect(await (await run("emfile")).json()).toMatchObject({ id: "emfile", holds: true });
  expect((await run("../emfile")).status).toBe(404);
  const responses = await Promise.all(Array.from({ length: 4 }, () => run("level-edge")));
  expect(responses.map(({ status }) => status).sort()).toEqual([200, 200, 400, 400]);
});

test("closes everything that it opened", async () => {
  const use = async (): Promise<void> => {
    const it = await inspected();
    const abort = new AbortController();
    await messages(it.page.viewUrl, abort.signal).next();
    await it.send({ kind: "start-client", client: "silent" });
    await it.send({ kind: "pause" });
    await it[Symbol.asyncDispose]();
    abort.abort();
  };
  await use(); // Bun opens some fds once
  const before = openFds().size;
  await use();
  // fetch closes its connections a little later.
  await eventually(
    () => openFds().size,
    (size) => size <= before,
  );
});

test("in a compiled executable, --inspect and --step print what to use instead", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const outfile = join(folder, "epoll-hello");
    expect(await run(["bun", "build", "--compile", cli, "--outfile", outfile])).toMatchObject({ code: 0 });
    for (const flag of ["--inspect", "--step"]) {
      const { code, stderr } = await run([outfile, "--port", "0", flag]);
      expect(stderr).toContain("--step and --inspect are not available in a compiled executable");
      expect(stderr).toContain("bunx epoll-hello --inspect");
      expect(code).toBe(1);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
