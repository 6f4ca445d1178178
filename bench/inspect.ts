// epoll-hello --inspect under load: what being watched costs the server, what the page says that it costs, and what the page itself does.
//
//   bun bench/inspect.ts [rounds] [seconds]        needs wrk, and chromium for the page
//
// Each round serves 64 kept connections three times: not watched, with --inspect and nobody there, and with a page that is open
// in a browser. Processor time is that of the thread of the loop; that of the page's own thread and of the browser's is apart.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Message } from "../src/tools/inspector/messages.ts";
import { hasBrowser, openBrowser } from "../test/support/browser.ts";
import { median } from "./support/numbers.ts";

const CONNECTIONS = 64;
const WARM_UP_SECONDS = 2;
const TICK_US = 10_000; // proc(5)
const cli = join(import.meta.dir, "../src/tools/cli/main.ts");

const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 5);
if (!(rounds >= 1) || !(seconds >= 1) || Bun.which("wrk") === null || !hasBrowser) {
  console.error(
    "usage: bun bench/inspect.ts [rounds, 5 unless given] [seconds, 5]; wrk and chromium have to be installed",
  );
  process.exit(2);
}

interface Measure {
  perSecond: number;
  /** Of the loop's thread, for a request. */
  loopUs: number;
  /** What the page says that being watched costs, for a request. */
  saidUs: number;
  /** Shares of a core. */
  pageThread: number;
  renderer: number;
}

const ways = ["not watched", "--inspect, no page", "--inspect, a page"] as const;
const all = ways.map((): Measure[] => []);
for (let round = 1; round <= rounds; round++) {
  for (const [i, way] of ways.entries()) {
    process.stderr.write(`\r\x1b[Kround ${round} of ${rounds}: ${way}`);
    all[i]?.push(await measure(way));
  }
}
process.stderr.write("\r\x1b[K");

const of = (i: number, key: keyof Measure): number => median((all[i] as Measure[]).map((one) => one[key]));
console.log(`medians of ${rounds} rounds of ${seconds} s, ${CONNECTIONS} kept connections\n`);
console.log("                      requests/s   loop, µs each   page says, µs   page's thread   renderer");
for (const [i, way] of ways.entries()) {
  console.log(
    way.padEnd(22) +
      of(i, "perSecond").toFixed(0).padStart(10) +
      of(i, "loopUs").toFixed(2).padStart(16) +
      (i === 0 ? "" : of(i, "saidUs").toFixed(2).padStart(16) + percent(of(i, "pageThread")).padStart(16)) +
      (i === 2 ? percent(of(i, "renderer")).padStart(11) : ""),
  );
}
for (const i of [1, 2]) {
  const added = median(all[i]?.map((one, round) => one.loopUs - (all[0]?.[round]?.loopUs ?? 0)) ?? []);
  console.log(`${ways[i]}: adds ${added.toFixed(2)} µs to a request; the page says ${of(i, "saidUs").toFixed(2)}`);
}

async function measure(way: (typeof ways)[number]): Promise<Measure> {
  const flags = way === "not watched" ? ["--quiet"] : ["--inspect"];
  const child = Bun.spawn([process.execPath, cli, "--host", "127.0.0.1", "--port", "0", ...flags], {
    stdin: "ignore",
    stdout: way === "not watched" ? "ignore" : "pipe",
    stderr: "inherit",
  });
  try {
    const { url, page } = await placeOf(child, way !== "not watched");
    await using browser = way === "--inspect, a page" ? await look(page) : undefined;
    await wrk(url, WARM_UP_SECONDS);
    const before = {
      threads: threadsOf(child.pid),
      browser: (await browser?.rendererUs()) ?? 0,
      said: await said(page),
    };
    const begunMs = performance.now();
    const perSecond = await wrk(url, seconds);
    const us = (performance.now() - begunMs) * 1000;
    const after = {
      threads: threadsOf(child.pid),
      browser: (await browser?.rendererUs()) ?? 0,
      said: await said(page),
    };
    const spent = [...after.threads].map(([tid, now]) => [tid, now - (before.threads.get(tid) ?? 0)] as const);
    const loop = Math.max(...spent.map(([, used]) => used));
    const requests = perSecond * seconds;
    return {
      perSecond,
      loopUs: loop / requests,
      saidUs: (after.said - before.said) / requests,
      pageThread: (spent.find(([tid]) => tid === child.pid)?.[1] ?? 0) / us,
      renderer: (after.browser - before.browser) / us,
    };
  } finally {
    child.kill("SIGINT");
    await child.exited;
  }
}

/** Where it serves; without a line that says so, by asking the kernel. */
async function placeOf(child: Bun.Subprocess, says: boolean): Promise<{ url: string; page: string }> {
  if (!says) return { url: `http://127.0.0.1:${await portOf(child.pid)}/`, page: "" };
  const reader = (child.stdout as ReadableStream<Uint8Array>).getReader();
  let text = "";
  while (!/control it at \S+\n/.test(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`it did not serve: ${text}`);
    text += new TextDecoder().decode(value);
  }
  const [, url = ""] = /listening on (\S+)/.exec(text) ?? [];
  const [, page = ""] = /control it at (\S+)/.exec(text) ?? [];
  return { url: `${url}/`, page };
}

async function portOf(pid: number): Promise<number> {
  for (;;) {
    const inodes = new Set(
      Bun.spawnSync(["sh", "-c", `readlink /proc/${pid}/fd/* 2>/dev/null`])
        .stdout.toString()
        .match(/(?<=socket:\[)\d+/g),
    );
    for (const line of readFileSync("/proc/net/tcp", "latin1").split("\n")) {
      const cells = line.trim().split(/\s+/);
      if (cells[3] === "0A" && inodes.has(cells[9] ?? "")) return Number.parseInt(cells[1]?.split(":")[1] ?? "", 16);
    }
    await Bun.sleep(20);
  }
}

async function wrk(url: string, seconds: number): Promise<number> {
  const { stdout } = Bun.spawn(["wrk", "-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, url], { stdout: "pipe" });
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(await new Response(stdout).text())?.[1]);
}

/** A browser that looks on, and what its page's process has used. */
async function look(page: string): Promise<{ rendererUs(): Promise<number> } & AsyncDisposable> {
  const opened = await openBrowser();
  const tab = await (await opened.browser.newContext({ viewport: { width: 1440, height: 1100 } })).newPage();
  await tab.goto(page);
  await tab.waitForSelector(".loop-diagram");
  const session = await opened.browser.newBrowserCDPSession();
  return {
    async rendererUs() {
      const { processInfo } = await session.send("SystemInfo.getProcessInfo");
      return processInfo.reduce((sum, { type, cpuTime }) => (type === "renderer" ? sum + 1e6 * cpuTime : sum), 0);
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/** What the page says of the cost, all in all, µs. */
async function said(page: string): Promise<number> {
  if (page === "") return 0;
  const abort = new AbortController();
  const reply = await fetch(new URL("/events", page), { signal: abort.signal });
  let text = "";
  try {
    for await (const bytes of reply.body ?? []) {
      text += new TextDecoder().decode(bytes);
      if (!text.includes("\n\n")) continue;
      const message = JSON.parse(text.slice("data: ".length, text.indexOf("\n\n"))) as Message;
      return message.kind === "hello" ? (message.samples.at(-1)?.counts.watchingUs ?? 0) : 0;
    }
  } finally {
    abort.abort();
  }
  return 0;
}

function threadsOf(pid: number): Map<number, number> {
  return new Map(readdirSync(`/proc/${pid}/task`).map((tid) => [Number(tid), usOf(`${pid}/task/${tid}`)]));
}

function usOf(process: number | string): number {
  try {
    const stat = readFileSync(`/proc/${process}/stat`, "latin1");
    const cells = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(cells[11]) + Number(cells[12])) * TICK_US;
  } catch {
    return 0; // it has ended
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
