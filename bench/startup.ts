// Benchmark of the time from process start to the first response: processor time and time passed, with a new process each time,
// for EpollServer and the command, compared with Bun.serve under the same conditions.
//
//   bun bench/startup.ts [rounds]

import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dlopen } from "bun:ffi";
import { Client } from "../test/support/client.ts";
import { Contender, pinLoad, type Recipe, recipes } from "./support/contender.ts";
import { execute, installPackage } from "./support/installed.ts";
import { machine } from "./support/machine.ts";
import { median } from "./support/numbers.ts";

const TARGET = 1.3;
const BUN_SERVE = "Bun.serve";
const POSIX_FADV_DONTNEED = 4;

interface Entry {
  name: string;
  command: readonly string[];
  /** A program that only prints a line, to show what a part of the start costs. */
  isPart?: boolean;
}

/** Servers that start under the same conditions. The last one is Bun.serve, to which the others are compared. */
interface Group {
  title: string;
  entries: Entry[];
  environment?: Record<string, string>;
  prepare?: () => void;
}

const rounds = Number(process.argv[2] ?? 31);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error("usage: bun bench/startup.ts [rounds, default: 31]");
  process.exit(2);
}
pinLoad();
progress("packing, installing and compiling");
const project = installPackage();
process.env["PATH"] = `${join(import.meta.dir, "../node_modules/.bin")}:${process.env["PATH"]}`; // the command runs the Bun on PATH
const installed = (...args: string[]): string[] => [process.execPath, ...args.map((arg) => join(project, arg))];
const source = (recipe: Recipe): Entry => ({ name: recipe.name, command: recipe.command("static") });
const packageEntries: Entry[] = [
  { name: recipes.run.name, command: [...installed("servers/epoll-server.ts"), "run", "static"] },
  { name: recipes.start.name, command: [...installed("servers/epoll-server.ts"), "start", "static"] },
  {
    name: "epoll-hello",
    command: [join(project, "node_modules", ".bin", "epoll-hello"), "--host", "127.0.0.1", "--port", "0"],
  },
  { name: BUN_SERVE, command: [...installed("servers/bun-serve.ts"), "static"] },
];
const compiled = (name: string, file: string, ...args: string[]): Entry => {
  const program = join(project, `${file}-compiled`);
  const build = ["build", "--compile", "--bytecode", "--format=esm", `servers/${file}.ts`, "--outfile", program];
  execute([process.execPath, ...build], project);
  return { name, command: [program, ...args] };
};
const part = (name: string, file: string, text: string): Entry => {
  writeFileSync(join(project, file), `${text}\nconsole.log(0);\nsetInterval(() => {}, 60_000);\n`);
  return { name, command: installed(file), isPart: true };
};
writeFileSync(join(project, "module.js"), "export const one = 1;\n");
writeFileSync(join(project, "function.c"), "int one(void) { return 1; }\n");
const groups: Group[] = [
  { title: "the installed package", entries: packageEntries },
  {
    title: "the installed package, its files neither in the page cache nor in Bun's transpiler cache",
    entries: packageEntries,
    environment: { BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" },
    prepare: evictFiles,
  },
  {
    title: "bun build --compile --bytecode",
    entries: [compiled(recipes.run.name, "epoll-server", "run", "static"), compiled(BUN_SERVE, "bun-serve", "static")],
  },
  {
    title: "parts of the start: programs that print a line, compared with the first response of Bun.serve",
    entries: [
      part("an empty program", "empty.js", ""),
      part("import of one line", "import.js", `import { one } from "./module.js";\none;`),
      part(
        "cc of one function",
        "cc.js",
        `import { cc } from "bun:ffi";
         cc({ source: "${join(project, "function.c")}", flags: ["-nostdlib", "-nostdinc"], symbols: { one: { args: [], returns: "int" } } });`,
      ),
      part("import of the package", "package.js", `import { EpollServer } from "epoll-hello";\nEpollServer;`),
      part("the same, new Epoll()", "epoll.js", `import { Epoll } from "epoll-hello";\nnew Epoll();`),
      { name: BUN_SERVE, command: [...installed("servers/bun-serve.ts"), "static"] },
    ],
  },
  {
    title: "the sources in a clone",
    entries: [
      source(recipes.run),
      source(recipes.start),
      {
        name: "npm start",
        command: [
          process.execPath,
          join(import.meta.dir, "../src/tools/cli/main.ts"),
          "--host",
          "127.0.0.1",
          "--port",
          "0",
        ],
      },
      source(recipes.bunServe),
    ],
  },
];

interface Start {
  cpuMs: number;
  wallMs: number;
}

const starts = groups.map(({ entries }) => entries.map(() => [] as Start[]));
for (let round = 0; round <= rounds; round++) {
  for (const [g, group] of groups.entries()) {
    for (const [i, entry] of group.entries.entries()) {
      progress(`round ${round} of ${rounds}: ${entry.name}, ${group.title}`);
      group.prepare?.();
      const start = await firstResponse(entry, group.environment);
      if (round > 0) starts[g]?.[i]?.push(start); // round 0 fills the caches
    }
  }
}
progress("");

console.log(`${machine()}\nfrom start to first response, ${rounds} times each, alternating\n`);
for (const [g, { title, entries }] of groups.entries()) {
  console.log(title);
  console.log("server                  CPU ms   wall ms   CPU ÷ Bun.serve's      range   wall ÷");
  const theirs = starts[g]?.at(-1) ?? [];
  for (const [i, { name, isPart }] of entries.entries()) {
    const all = starts[g]?.[i] ?? [];
    const ratios = (of: keyof Start): number[] => all.map((one, round) => one[of] / (theirs[round] as Start)[of]);
    const cpu = ratios("cpuMs");
    const ratio = median(cpu);
    const cells = [
      name.padEnd(22),
      median(all.map(({ cpuMs }) => cpuMs))
        .toFixed(1)
        .padStart(8),
      median(all.map(({ wallMs }) => wallMs))
        .toFixed(1)
        .padStart(10),
      ratio.toFixed(2).padStart(20),
      `${Math.min(...cpu).toFixed(2)}-${Math.max(...cpu).toFixed(2)}`.padStart(11),
      median(ratios("wallMs")).toFixed(2).padStart(9),
    ];
    const verdict = name === BUN_SERVE || isPart ? "" : `   target ${TARGET}: ${ratio <= TARGET ? "met" : "missed"}`;
    console.log(`${cells.join("")}${verdict}`);
  }
  console.log();
}

async function firstResponse(
  { name, command, isPart }: Entry,
  environment: Record<string, string> = {},
): Promise<Start> {
  const startedNs = Bun.nanoseconds();
  using server = await Contender.start({ name, command: () => command }, "static", { ...environment });
  if (!isPart) {
    using client = new Client(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    if (client.readResponse().status !== 200) throw new Error(`${name} doesn't respond`);
  }
  return { wallMs: (Bun.nanoseconds() - startedNs) / 1e6, cpuMs: server.cpuUs / 1000 };
}

/** Removes the project's files from the page cache: posix_fadvise(2). Bun itself stays, because this benchmark runs on it. */
function evictFiles(): void {
  const { symbols, close } = dlopen("libc.so.6", {
    posix_fadvise: { args: ["i32", "i64", "i64", "i32"], returns: "i32" },
  });
  for (const path of new Bun.Glob("{servers,node_modules/epoll-hello}/**/*.{ts,js,c,json}").scanSync(project)) {
    const fd = openSync(join(project, path), "r");
    symbols.posix_fadvise(fd, 0n, 0n, POSIX_FADV_DONTNEED);
    closeSync(fd);
  }
  close();
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
