// Checks of the library on any platform: servers under start() and run(), workers, watch() and traces. Prints a line for each.
//
// Environment: SMOKE_SKIP, names of checks with the reason, "workers=no emulator for child processes; …"; SMOKE_PREFIX, the
// command that runs an executable of this platform; SMOKE_CLI, the command epoll-hello, if it is not that of the sources.

import { join } from "node:path";
import {
  AF_UNIX,
  type Epoll,
  EPOLLIN,
  EpollServer,
  EventFd,
  formatEvent,
  parseTrace,
  pipe,
  SOCK_DGRAM,
  socketpair,
  TimerFd,
  type TraceEvent,
  watch,
} from "../../src/index.ts";
import * as library from "../../src/index.ts";

const LIMIT_MS = 120_000;
const REQUESTS = 50;
const isCompiled = import.meta.path.startsWith("/$bunfs/");
const prefix = (process.env["SMOKE_PREFIX"] ?? "").split(" ").filter(Boolean);
const self = [...prefix, process.execPath, ...(isCompiled ? [] : [import.meta.path])];
const cli = process.env["SMOKE_CLI"]?.split(" ") ?? [
  ...prefix,
  process.execPath,
  join(import.meta.dir, "../../src/tools/cli/main.ts"),
];
const skipped = new Map(
  (process.env["SMOKE_SKIP"] ?? "")
    .split(";")
    .filter(Boolean)
    .map((entry) => entry.trim().split("=") as [string, string]),
);

async function request(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(LIMIT_MS) });
  return response.text();
}

async function requests(port: number): Promise<void> {
  for (let i = 0; i < REQUESTS; i++) {
    const body = await request(port);
    if (!body.includes("Hello")) throw new Error(`the response is ${JSON.stringify(body.slice(0, 80))}`);
  }
}

/** Starts a server process, sends requests to it, stops it by a signal, and verifies its exit code. */
async function serveInChild(command: string[], signal: NodeJS.Signals): Promise<void> {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.getReader();
  let text = "";
  for (let port; port === undefined;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`it ended before it served: ${JSON.stringify(text)}`);
    text += new TextDecoder().decode(value);
    port = /127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    if (port !== undefined) await requests(Number(port));
  }
  const drain = (async () => {
    while (!(await reader.read()).done);
  })();
  child.kill(signal);
  const code = await child.exited;
  await drain;
  if (code !== 0) throw new Error(`exit code ${code}`);
}

const checks: Record<string, () => void | Promise<void>> = {
  "system calls": () => {
    const [reader, writer] = pipe();
    const [one, other] = socketpair(AF_UNIX, SOCK_DGRAM);
    const epoll: Epoll = new library.Epoll();
    for (const each of [reader, one]) epoll.register(each, EPOLLIN);
    writer.write("x");
    other.send("yz");
    const ready = epoll.poll(1000).map(([fd]) => fd);
    if (!ready.includes(reader.fileno()) || !ready.includes(one.fileno())) throw new Error(`ready: ${ready}`);
    if (Buffer.from(one.recv(10) ?? []).toString() !== "yz") throw new Error("recv");
    for (const each of [reader, writer, one, other, epoll]) each.close();
  },
  "watch()": async () => {
    const event = new EventFd();
    const timer = new TimerFd();
    const { promise, resolve } = Promise.withResolvers<void>();
    let count = 0;
    const one = watch(event, EPOLLIN, () => {
      event.read();
      if (++count === 20) resolve();
    });
    const other = watch(timer, EPOLLIN, () => void (timer.read(), event.write(1n)));
    timer.set({ value: 1_000_000, interval: 1_000_000 });
    await promise;
    for (const each of [one, other, event, timer]) each.close();
  },
  "start()": async () => {
    const server = new EpollServer({ hostname: "127.0.0.1", fetch: () => new Response("Hello") });
    await server.start();
    await requests(server.port as number);
    await server.stop();
  },
  "run()": () => serveInChild([...self, "run"], "SIGTERM"),
  trace: async () => {
    const events: TraceEvent[] = [];
    const trace = { listener: (event: TraceEvent) => events.push(event), lines: true };
    const server = new EpollServer({ hostname: "127.0.0.1", trace });
    await server.start();
    await requests(server.port as number);
    await server.stop();
    const parsed = parseTrace(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    const accepted = parsed.filter(({ type }) => type === "accept").map((event) => formatEvent(event));
    if (accepted.length === 0) throw new Error("no accept4 in the trace");
  },
  command: () => serveInChild([...cli, "--host", "127.0.0.1", "--port", "0"], "SIGTERM"),
  workers: () => serveInChild([...cli, "--host", "127.0.0.1", "--port", "0", "--workers", "2"], "SIGTERM"),
  Worker: async () => {
    const code = `import { EventFd } from ${JSON.stringify(join(import.meta.dir, "../../src/index.ts"))}; postMessage(new EventFd(7).read());`;
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "application/typescript" })));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    worker.addEventListener("message", ({ data }) => resolve(data));
    worker.addEventListener("error", ({ message }) => reject(new Error(message)));
    if ((await promise) !== 7n) throw new Error("the Worker has read something else");
    worker.terminate();
  },
};

if (process.argv.includes("run")) {
  const server = new EpollServer({ hostname: "127.0.0.1" });
  server.run(() => console.log(`127.0.0.1:${server.port}`));
  process.exit(0);
}

const counts = { ok: 0, FAILED: 0, skipped: 0 };
for (const [name, check] of Object.entries(checks)) {
  let result: keyof typeof counts = "ok";
  let detail = "";
  const reason = skipped.get(name);
  if (reason !== undefined) {
    result = "skipped";
    detail = reason;
  } else {
    try {
      await check();
    } catch (error) {
      result = "FAILED";
      detail = String(error);
    }
  }
  counts[result]++;
  console.log(`  ${name.padEnd(14)} ${result.padEnd(8)} ${detail}`.trimEnd());
}
console.log(`  ${counts.ok} passed, ${counts.FAILED} failed, ${counts.skipped} skipped`);
process.exit(counts.FAILED === 0 ? 0 : 1);
