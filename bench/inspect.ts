// Benchmark of epoll-hello --inspect under load: its cost for the server, the cost that the page reports, and the cost of the page.
//
//   bun bench/inspect.ts [rounds] [seconds]        needs wrk and chromium
//
// Each round serves 64 persistent connections three times: without --inspect, with --inspect and no viewer, and with the page open
// in a browser. Processor time is that of the server's thread. The inspector's thread and the browser are reported separately.

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
  console.error("usage: bun bench/inspect.ts [rounds, default: 5] [seconds, default: 5]; needs wrk and chromium");
  process.exit(2);
}

interface Measure {
  perSecond: number;
  /** Processor time of the server's thread per request. */
  loopUs: number;
  /** The cost of inspecting per request, as the page reports it. */
  reportedUs: number;
  /** Share of a core that the inspector's thread uses. */
  inspectorThread: number;
  /** Share of a core that the browser's renderer uses. */
  renderer: number;
}

const modes = ["no --inspect", "--inspect, no viewer", "--inspect, one viewer"] as const;
const all = modes.map((): Measure[] => []);
for (let round = 1; round <= rounds; round++) {
  for (const [i, mode] of modes.entries()) {
    process.stderr.write(`\r\x1b[Kround ${round} of ${rounds}: ${mode}`);
    all[i]?.push(await measure(mode));
  }
}
process.stderr.write("\r\x1b[K");

const of = (i: number, key: keyof Measure): number => median((all[i] as Measure[]).map((one) => one[key]));
console.log(`medians of ${rounds} rounds of ${seconds} s, ${CONNECTIONS} persistent connections\n`);
console.log("                      requests/s    server, µs/req    reported, µs    inspector thread   renderer");
for (const [i, mode] of modes.entries()) {
  console.log(
    mode.padEnd(22) +
      of(i, "perSecond").toFixed(0).padStart(10) +
      of(i, "loopUs").toFixed(2).padStart(18) +
      (i === 0 ? "" : of(i, "reportedUs").toFixed(2).padStart(16) + percent(of(i, "inspectorThread")).padStart(20)) +
      (i === 2 ? percent(of(i, "renderer")).padStart(11) : ""),
  );
}
for (const i of [1, 2]) {
  const added = median(all[i]?.map((one, round) => one.loopUs - (all[0]?.[round]?.loopUs ?? 0)) ?? []);
  console.log(
    `${modes[i]}: adds ${added.toFixed(2)} µs per request; the page reports ${of(i, "reportedUs").toFixed(2)} µs`,
  );
}

async function measure(mode: (typeof modes)[number]): Promise<Measure> {
  const flags = mode === "no --inspect" ? ["--quiet"] : ["--inspect"];
  const child = Bun.spawn([process.execPath, cli, "--host", "127.0.0.1", "--port", "0", ...flags], {
    stdin: "ignore",
    stdout: mode === "no --inspect" ? "ignore" : "pipe",
    stderr: "inherit",
  });
  try {
    const { url, page } = await addressesOf(child, mode !== "no --inspect");
    await using browser = mode === "--inspect, one viewer" ? await openPage(page) : undefined;
    await wrk(url, WARM_UP_SECONDS);
    const before = {
      threads: threadsOf(child.pid),
      browser: (await browser?.rendererUs()) ?? 0,
      reported: await reportedCost(page),
    };
    const begunMs = performance.now();
    const perSecond = await wrk(url, seconds);
    const us = (performance.now() - begunMs) * 1000;
    const after = {
      threads: threadsOf(child.pid),
      browser: (await browser?.rendererUs()) ?? 0,
      reported: await reportedCost(page),
    };
    const spent = [...after.threads].map(([tid, now]) => [tid, now - (before.threads.get(tid) ?? 0)] as const);
    const loop = Math.max(...spent.map(([, used]) => used));
    const requests = perSecond * seconds;
    return {
      perSecond,
      loopUs: loop / requests,
      reportedUs: (after.reported - before.reported) / requests,
      inspectorThread: (spent.find(([tid]) => tid === child.pid)?.[1] ?? 0) / us,
      renderer: (after.browser - before.browser) / us,
    };
  } finally {
    child.kill("SIGINT");
    await child.exited;
  }
}

/** Returns the addresses of the server and of the page: from the output, or without output, the server's from /proc. */
async function addressesOf(child: Bun.Subprocess, prints: boolean): Promise<{ url: string; page: string }> {
  if (!prints) return { url: `http://127.0.0.1:${await portOf(child.pid)}/`, page: "" };
  const reader = (child.stdout as ReadableStream<Uint8Array>).getReader();
  let text = "";
  while (!/control it at \S+\n/.test(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the server ended: ${text}`);
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

/** Opens the page in a browser; `rendererUs` returns the processor time that its renderer has used. */
async function openPage(page: string): Promise<{ rendererUs(): Promise<number> } & AsyncDisposable> {
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

/** Returns the total cost of inspecting so far, as the page reports it, in µs. */
async function reportedCost(page: string): Promise<number> {
  if (page === "") return 0;
  const abort = new AbortController();
  const headers = { Authorization: `Bearer ${new URL(page).hash.slice(1)}` };
  const response = await fetch(new URL("/events", page), { headers, signal: abort.signal });
  let text = "";
  try {
    for await (const bytes of response.body ?? []) {
      text += new TextDecoder().decode(bytes);
      if (!text.includes("\n\n")) continue;
      const message = JSON.parse(text.slice("data: ".length, text.indexOf("\n\n"))) as Message;
      return message.kind === "hello" ? (message.samples.at(-1)?.counts.overheadUs ?? 0) : 0;
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
    return 0; // the thread has ended
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
