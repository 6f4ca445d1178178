// The page's server: who may look and who may touch, what it tells, and that nothing of it grows without a bound.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Message, TEST_CLIENT_KINDS } from "../../src/tools/inspector/messages.ts";
import { EventStream } from "../../src/tools/inspector/event-stream.ts";
import { Sampler } from "../../src/tools/debugger/sampler.ts";
import { openFds } from "../support/fds.ts";
import { inspected, messages } from "../support/inspected.ts";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

test("by its own names only: no other Host, no other page's Origin", async () => {
  await using it = await inspected();
  const { port } = new URL(it.page.url);
  const get = (path: string, headers: Record<string, string>): Promise<number> =>
    fetch(it.page.url + path, { headers }).then(({ status }) => status);
  expect(await get("", {})).toBe(200);
  expect(await get("", { Host: `localhost:${port}` })).toBe(200);
  for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1", `[::1]:${port}`, "127.0.0.1:1"]) {
    expect(await get("events", { Host: host })).toBe(403);
  }
  expect(await get("look?fd=5", { Origin: "http://evil.example" })).toBe(403);
  expect(await get("look?fd=5", { Origin: "null" })).toBe(403);
  expect(await get("main.js", { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors" })).toBe(403);
  expect(await get("", { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate" })).toBe(200); // a link is no harm
  expect((await it.order({ kind: "pause" }, { Origin: "http://evil.example" })).status).toBe(403);
  expect((await it.order({ kind: "pause" }, { Origin: it.page.url.slice(0, -1) })).status).toBe(204);
});

test("it listens on 127.0.0.1 only, and each reply has its guards on", async () => {
  await using it = await inspected();
  expect(new URL(it.page.url).hostname).toBe("127.0.0.1");
  for (const path of ["", "main.js", "style.css", "nothing", "lessons"]) {
    const { headers } = await fetch(it.page.url + path);
    expect(headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
    expect(headers.get("content-security-policy")).not.toContain("unsafe");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("cache-control")).toBe("no-store");
  }
});

test("no address of somebody else stands in what the page is made of", async () => {
  await using it = await inspected();
  for (const path of ["", "main.js", "style.css"]) {
    const text = await (await fetch(it.page.url + path)).text();
    const addresses = text.match(/(?:https?:)?\/\/[a-z][\w-]*\.[a-z]+[^"'`\s)]*/gi) ?? [];
    expect(addresses.filter((address) => !address.includes("www.w3.org"))).toEqual([]); // SVG's and MathML's names
  }
});

test("without the token, or with another, there are no orders and no lessons", async () => {
  await using it = await inspected();
  for (const authorization of ["", "Bearer", "Bearer 0", `Bearer ${"0".repeat(32)}`, `Basic ${it.token}`, it.token]) {
    for (const path of ["orders", "lesson?id=hello"]) {
      const { status } = await fetch(it.page.url + path, {
        method: "POST",
        headers: { Authorization: authorization },
        body: '{"kind":"pause"}',
      });
      expect(status).toBe(403);
    }
  }
  expect(it.inspector.state.run).toBe("running");
});

test.each([
  "",
  "no JSON",
  "null",
  "{}",
  '{"kind":"evaluate","expression":"process.exit()"}',
  '{"kind":"go"}',
  '{"kind":"go","mode":{"kind":"fly"}}',
  '{"kind":"go","mode":{"kind":"return","fd":"5"}}',
  '{"kind":"speed","perSecond":-1}',
  '{"kind":"speed","perSecond":1e9}',
  '{"kind":"break","on":"fd","value":"5"}',
  '{"kind":"break","on":"event","value":"accept, process.exit()"}',
  '{"kind":"break","on":"condition","value":1}',
  '{"kind":"try","try":"harm"}',
])("an order that is none is refused, with a reason: %p", async (body) => {
  await using it = await inspected();
  const reply = await fetch(`${it.page.url}orders`, {
    method: "POST",
    headers: { Authorization: `Bearer ${it.token}` },
    body,
  });
  expect(reply.status).toBe(400);
  expect(await reply.text()).toMatch(/\w+/);
  expect(it.inspector.state).toMatchObject({ run: "running", breakpoints: [] });
});

test("an order that is too large, another method, another path", async () => {
  await using it = await inspected();
  expect((await it.order({ kind: "pause", more: "x".repeat(10_000) })).status).toBe(413);
  expect((await fetch(it.page.url, { method: "DELETE" })).status).toBe(405);
  expect((await fetch(`${it.page.url}nothing`)).status).toBe(404);
  expect((await fetch(it.page.url, { method: "HEAD" })).status).toBe(200);
  expect((await fetch(`${it.page.url}events`, { method: "HEAD" })).status).toBe(405); // it would never end
});

test("it shows lines of the loop's own program, and no other file", async () => {
  await using it = await inspected();
  const answer = await fetch(`${it.page.url}source?at=src/server/run-loop.ts:20`);
  const lines = readFileSync(join(root, "src/server/run-loop.ts"), "utf8").split("\n");
  expect(await answer.json()).toEqual({
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
    expect((await fetch(`${it.page.url}source?at=${encodeURIComponent(at)}`)).status).toBe(404);
  }
});

test("it looks at the loop's descriptors, and at no other of this process", async () => {
  await using it = await inspected();
  await fetch(it.url);
  // The reply may be here before it is told that the connection is.
  while (!it.inspector.sample?.entries.some(({ kind }) => kind === "connection")) await Bun.sleep(1);
  const [listener] = it.inspector.sample.entries;
  const look = await (await fetch(`${it.page.url}look?fd=${listener?.fd}`)).json();
  expect(look).toMatchObject({ fd: listener?.fd, why: expect.stringContaining("listens on 127.0.0.1") });
  const ours = new Set(it.inspector.sample.entries.map(({ fd }) => fd));
  const others = [...openFds().keys()].filter((fd) => !ours.has(fd));
  for (const fd of others) expect(await (await fetch(`${it.page.url}look?fd=${fd}`)).json()).toBeNull();
  for (const fd of ["", "-1", "x", "1e9"]) expect(await (await fetch(`${it.page.url}look?fd=${fd}`)).json()).toBeNull();
});

test("pause, step, next, return, continue and breakpoints; and the kernel's list, once it stands still", async () => {
  await using it = await inspected({ keepAlive: false, eager: false });
  expect((await fetch(`${it.page.url}differences`)).status).toBe(409);
  await it.order({ kind: "pause" });
  await it.until("stopped");
  expect(await (await fetch(`${it.page.url}differences`)).json()).toEqual({ messages: [], watched: 1 });

  const reply = fetch(it.url);
  const walk: string[] = [];
  const go = async (mode: object): Promise<void> => {
    await it.order({ kind: "go", mode });
    await it.until("stopped");
    const event = it.inspector.target.stop?.event;
    walk.push(event?.type === "wait" ? `wait ${event.events.length}` : String(event?.type));
  };
  while (walk.at(-1) !== "wait 1") await go({ kind: "next" });
  await go({ kind: "step" });
  await go({ kind: "step" });
  expect(walk.slice(-2)).toEqual(["accept", "state"]);
  await go({ kind: "next" });
  await go({ kind: "return", fd: 0 });
  expect(walk.at(-1)).toBe("recv");

  expect((await it.order({ kind: "break", on: "event", value: "close" })).status).toBe(204);
  await it.order({ kind: "go", mode: { kind: "continue" } });
  expect(await (await reply).text()).toBe("Hello from Epoll server!");
  await it.until("stopped");
  expect(it.inspector.target.stop?.event).toMatchObject({ type: "close" });
  const [breakpoint] = it.inspector.state.breakpoints;
  expect(it.inspector.state.breakpoint).toBe(breakpoint?.id);
  expect(breakpoint?.hits).toBe(1);
  await it.order({ kind: "clear", id: breakpoint?.id });
  expect(it.inspector.state.breakpoints).toEqual([]);
  await it.order({ kind: "go", mode: { kind: "continue" } });
  expect((await fetch(it.url)).status).toBe(200);
});

test("slow motion goes on by itself, event by event, until full speed", async () => {
  await using it = await inspected();
  const seen: Message[] = [];
  const stop = it.inspector.listen((message) => seen.push(message));
  await it.order({ kind: "speed", perSecond: 100 });
  const reply = fetch(it.url);
  expect((await reply).status).toBe(200);
  expect(it.inspector.state.speed).toBe(100);
  const stops = (): number => seen.filter((one) => one.kind === "state" && one.run === "stopped").length;
  while (stops() < 20) await Bun.sleep(1);
  for (let i = 0; i < 12; i++) {
    const before = stops();
    await it.order({ kind: "speed", perSecond: 100 });
    while (stops() < before + 2 || it.inspector.target.state !== "running") await Bun.sleep(1);
    await it.order({ kind: "speed", perSecond: 0 });
    expect((await fetch(it.url)).status).toBe(200); // though a step was under way
  }
  await it.until("running");
  stop();
});

test("a page hears what was, then what is, with nothing lost as long as it keeps up", async () => {
  await using it = await inspected();
  for (let i = 0; i < 3; i++) await fetch(it.url);
  const abort = new AbortController();
  let next = 0;
  let requests = 0;
  for await (const message of messages(it.page.url, abort.signal)) {
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

test("who does not read keeps nothing but the newest, and hears how much was left out", async () => {
  const sampler = new Sampler();
  let total = 0;
  const see = (count: number): void => {
    for (let i = 0; i < count; i++) {
      sampler.observe({ seq: ++total, us: total, iteration: 1, type: "recv", fd: 5, wanted: 10, result: 2 });
    }
  };
  see(1);
  const stream = new EventStream({ kind: "sample", sample: sampler.take() }, () => {});
  for (let i = 0; i < 500; i++) {
    see(50);
    stream.tell({ kind: "sample", sample: sampler.take() });
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
  stream.end();
});

test("so many pages, and no more; one that goes makes room", async () => {
  await using it = await inspected();
  const aborts = Array.from({ length: 16 }, () => new AbortController());
  for (const { signal } of aborts) expect((await fetch(`${it.page.url}events`, { signal })).status).toBe(200);
  expect((await fetch(`${it.page.url}events`)).status).toBe(503);
  aborts[0]?.abort();
  for (;;) {
    const abort = new AbortController();
    const { status } = await fetch(`${it.page.url}events`, { signal: abort.signal });
    if (status !== 200) continue;
    abort.abort();
    break;
  }
  for (const abort of aborts) abort.abort();
});

test("clients of every kind meet the server, and it survives them", async () => {
  await using it = await inspected({ headerTimeoutMs: 500 });
  const abort = new AbortController();
  const logs = new Map<string, string>();
  let hasAsked = false;
  for await (const message of messages(it.page.url, abort.signal)) {
    if (!hasAsked) {
      hasAsked = true;
      for (const kind of TEST_CLIENT_KINDS) expect((await it.order({ kind: "try", try: kind })).status).toBe(204);
    }
    if (message.kind !== "tries") continue;
    for (const { kind, log } of message.tries) logs.set(kind, log.join("; "));
    const isThere = (kind: string, said: RegExp): boolean => said.test(logs.get(kind) ?? "");
    if (
      isThere("request", /200 OK.*has its reply/) &&
      isThere("pipeline", /received \d+ bytes: "HTTP\/1.1 200/) &&
      isThere("half-head", /408/) &&
      isThere("half-close", /200 OK/) &&
      isThere("leave", /closed at once/) &&
      isThere("reset", /reset \(RST\)/) &&
      isThere("garbage", /400/) &&
      isThere("endless", /431|ECONNRESET|EPIPE/) &&
      isThere("never-reads", /reads nothing/) &&
      isThere("silent", /the server has closed|408/) &&
      isThere("drip", /sends a byte/) &&
      isThere("crowd", /200 OK/)
    ) {
      break;
    }
  }
  abort.abort();
  expect((await fetch(it.url)).status).toBe(200);
});

test("too many clients are refused; one that is ended is over", async () => {
  await using it = await inspected();
  for (let i = 0; i < 4; i++) expect((await it.order({ kind: "try", try: "crowd" })).status).toBe(204);
  const refused = await it.order({ kind: "try", try: "silent" });
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain("clients are open: end some first");
  for (let id = 1; id <= 4; id++) await it.order({ kind: "end-try", id });
  expect((await it.order({ kind: "try", try: "silent" })).status).toBe(204);
});

test("a lesson runs in a process of its own", async () => {
  await using it = await inspected();
  const ask = (id: string): Promise<Response> =>
    fetch(`${it.page.url}lesson?id=${id}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${it.token}` },
      body: "{}",
    });
  expect(await (await ask("emfile")).json()).toMatchObject({ id: "emfile", holds: true });
  expect((await ask("../emfile")).status).toBe(404);
  const replies = await Promise.all(Array.from({ length: 4 }, () => ask("level-edge")));
  expect(replies.map(({ status }) => status).sort()).toEqual([200, 200, 400, 400]); // two at a time
});

test("it ends with all that it opened", async () => {
  const use = async (): Promise<void> => {
    const it = await inspected();
    const abort = new AbortController();
    const heard = messages(it.page.url, abort.signal);
    await heard.next();
    await it.order({ kind: "try", try: "silent" });
    await it.order({ kind: "pause" });
    await it[Symbol.asyncDispose]();
    abort.abort();
  };
  await use(); // what Bun itself opens once
  const before = openFds().size;
  await use();
  while (openFds().size > before) await Bun.sleep(5); // fetch's own connections
});
