// --trace-max: a trace file of limited size is a valid trace at any time, and keeps its beginning and the newest events.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readTrace, type TraceEvent } from "../../src/index.ts";
import { MIN_TRACE_MAX } from "../../src/tools/cli/flags.ts";
import { TraceFileWriter } from "../../src/tools/cli/trace-file-writer.ts";
import { eventually, WAIT_TIMEOUT_MS } from "../support/eventually.ts";
import { cli, endPrograms, root, run, start } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";
import { folder, newFolder, removeFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(60_000);

afterEach(async () => {
  await endPrograms();
  removeFolder();
});

const HEAD: TraceEvent[] = [
  { seq: 1, us: 1, iteration: 0, type: "begin", version: 2, pid: 1, date: "2026-11-28T00:00:00.000Z" },
  { seq: 2, us: 2, iteration: 0, type: "create", result: 6 },
];

function event(seq: number): TraceEvent {
  const events: [number, number][] = [[seq % 9, 1]];
  return {
    seq,
    us: seq,
    iteration: seq,
    type: "wait",
    epfd: 6,
    timeoutMs: 0,
    maxEvents: 1,
    result: 1,
    events,
    blockedUs: 1,
  };
}

/** Writes events until `seq`, and reads the file after each `step`. */
function write(writer: TraceFileWriter, seq: number, onStep: (written: number) => void, step = 500): void {
  for (const one of HEAD) writer.add(one);
  for (let next = HEAD.length + 1; next <= seq; next++) {
    writer.add(event(next));
    if (next % step !== 0) continue;
    writer.flush();
    onStep(next);
  }
}

test("the file stays below the limit, and is a valid trace at any time: the first events and the newest", () => {
  const path = join(newFolder(), "t.jsonl");
  const writer = new TraceFileWriter(path, MIN_TRACE_MAX);
  let isTrimmed = false;
  write(writer, 20_000, (written) => {
    expect(statSync(path).size).toBeLessThanOrEqual(MIN_TRACE_MAX);
    const events = readTrace(path); // throws if an event is missing
    expect(events.slice(0, 2)).toEqual(HEAD);
    expect(events.at(-1)?.seq).toBe(written);
    const dropped = events.filter(({ type }) => type === "dropped");
    expect(dropped.length).toBe(isTrimmed || dropped.length > 0 ? 1 : 0);
    isTrimmed ||= dropped.length > 0;
    expect(statSync(path).size).toBeGreaterThan(isTrimmed ? MIN_TRACE_MAX / 2 - 1000 : 0);
    expect(readdirSync(folder)).toEqual(["t.jsonl"]);
  });
  const events = readTrace(path);
  const [, , dropped] = events;
  expect(dropped).toMatchObject({ type: "dropped", seq: 20_000 - (events.length - 3) });
  const count = (events.length - 1).toLocaleString("en-US");
  expect(writer.close()).toBe(`${path} has ${count} events of 20,000: the first 2 and the newest (--trace-max)`);
});

test("a trace that fits is complete, and nothing is said", () => {
  const path = join(newFolder(), "t.jsonl");
  const writer = new TraceFileWriter(path, MIN_TRACE_MAX);
  write(writer, 1000, () => {});
  expect(writer.close()).toBeUndefined();
  expect(readTrace(path).map(({ seq }) => seq)).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
});

test("without a limit, everything is kept", () => {
  const path = join(newFolder(), "t.jsonl");
  const writer = new TraceFileWriter(path, Infinity);
  write(writer, 20_000, () => {});
  expect(writer.close()).toBeUndefined();
  expect(readTrace(path)).toHaveLength(20_000);
});

test("a symbolic link remains one, and the file keeps its permissions", () => {
  const path = join(newFolder(), "t.jsonl");
  writeFileSync(path, "");
  chmodSync(path, 0o600);
  const link = join(folder, "link");
  symlinkSync(path, link);
  const writer = new TraceFileWriter(link, MIN_TRACE_MAX);
  write(writer, 10_000, () => {});
  expect(writer.close()).toContain("(--trace-max)");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readTrace(link).at(-1)?.seq).toBe(10_000);
  expect(readTrace(path).at(-1)?.seq).toBe(10_000);
});

test("one event that is larger than the limit is kept as the newest", () => {
  const path = join(newFolder(), "t.jsonl");
  const writer = new TraceFileWriter(path, MIN_TRACE_MAX);
  write(writer, 3000, () => {});
  const bytes = "x".repeat(2 * MIN_TRACE_MAX);
  writer.add({
    seq: 3001,
    us: 3001,
    iteration: 3000,
    type: "recv",
    fd: 5,
    wanted: bytes.length,
    result: bytes.length,
    bytes,
  });
  writer.flush();
  expect(readTrace(path).at(-1)).toMatchObject({ seq: 3001, bytes });
  for (let seq = 3002; seq < 9000; seq++) writer.add(event(seq));
  expect(writer.close()).toContain("(--trace-max)");
  expect(statSync(path).size).toBeLessThanOrEqual(MIN_TRACE_MAX);
  expect(readTrace(path).at(-1)?.seq).toBe(8999);
});

const SPIN = `import { Epoll, EPOLLIN, socketpair } from ${JSON.stringify(join(root, "src", "index.ts"))};
  import { renameSync } from "node:fs";
  const [local, peer] = socketpair();
  using epoll = new Epoll();
  epoll.register(local, EPOLLIN);
  peer.send("x");
  for (let i = 0; i < 5000; i++) epoll.poll(1000);
  console.log("done");`;

test("--trace-max limits the file of a program, says what was dropped, and replay shows it", async () => {
  const program = join(newFolder(), "spin.ts");
  const file = join(folder, "t.jsonl");
  writeFileSync(program, SPIN);
  const traced = await run(["bun", cli, program, "--trace-file", file, "--trace-max", "256k"]);
  expect(traced).toMatchObject({ code: 0, stdout: "done\n" });
  expect(traced.stderr).toMatch(
    /t\.jsonl has [\d,]+ events of 10,\d{3}: the first \d+ and the newest \(--trace-max\)\n$/,
  );
  expect(statSync(file).size).toBeLessThanOrEqual(MIN_TRACE_MAX);
  const replayed = await run(["bun", cli, "replay", file]);
  expect(replayed.code).toBe(0);
  expect(replayed.stdout).toMatch(/^ {6}epoll_create1\(EPOLL_CLOEXEC\) = \d+$/m);
  expect(replayed.stdout).toMatch(/^ {6}\.\.\. [\d,]+ events dropped, to limit the size of the trace$/m);
  expect(replayed.stderr).toMatch(/^not counted: [\d,]+ events that were dropped from the trace$/m);
});

test("a folder that has gone, in which the file cannot be replaced: one error, and the program goes on", async () => {
  const program = join(newFolder(), "spin.ts");
  const before = join(folder, "before");
  const after = join(folder, "after");
  mkdirSync(before);
  writeFileSync(
    program,
    SPIN.replace("for (", `renameSync(${JSON.stringify(before)}, ${JSON.stringify(after)}); for (`),
  );
  const traced = await run(["bun", cli, program, "--trace-file", join(before, "t.jsonl"), "--trace-max", "256k"]);
  expect(traced).toMatchObject({ code: 1, stdout: "done\n" });
  expect(traced.stderr).toMatch(/^error: cannot write to .*t\.jsonl: ENOENT: [^\n]*\n$/);
  expect(readTrace(join(after, "t.jsonl")).length).toBeGreaterThan(100);
});

test("what a crash during a replacement has left behind is removed: in a container, the next process often has the same pid", () => {
  const path = join(newFolder(), "t.jsonl");
  writeFileSync(join(folder, `.t.jsonl.${process.pid}.tmp`), "left");
  const writer = new TraceFileWriter(path, MIN_TRACE_MAX);
  write(writer, 10_000, () => {});
  expect(writer.close()).toContain("(--trace-max)");
  expect(readTrace(path).at(-1)?.seq).toBe(10_000);
  expect(readdirSync(folder)).toEqual(["t.jsonl"]);
});

test("what processes have left behind that were killed during a replacement is removed at the start", () => {
  const path = join(newFolder(), "t.jsonl");
  const dead = 2 ** 22 + 1; // above the highest pid
  writeFileSync(join(folder, `.t.jsonl.${dead}.tmp`), "left");
  const others = [`.t.jsonl.1.tmp`, `.other.jsonl.${dead}.tmp`, `.t.jsonl.x.tmp`, `t.jsonl.${dead}.tmp`];
  for (const name of others) writeFileSync(join(folder, name), "not ours");
  const writer = new TraceFileWriter(path, MIN_TRACE_MAX);
  expect(readdirSync(folder).toSorted()).toEqual([...others, "t.jsonl"].toSorted());
  writer.close();
});

test("while the file is replaced, it is never incomplete, and a process that is killed leaves a valid trace", async () => {
  const program = join(newFolder(), "spin.ts");
  const file = join(folder, "t.jsonl");
  writeFileSync(program, SPIN.replace("i < 5000", "i < 1e9"));
  const traced = start(["bun", cli, program, "--trace-file", file, "--trace-max", "256k"]);
  await eventually(
    () => (existsSync(file) ? statSync(file).size : 0),
    (size) => size > 150_000,
  );
  let replacements = 0;
  let last = 0;
  for (const end = Date.now() + WAIT_TIMEOUT_MS; replacements < scaled(10, 400) && Date.now() < end;) {
    const { ino, size } = statSync(file);
    if (ino !== last) replacements++;
    last = ino;
    if (size < MIN_TRACE_MAX / 4) throw new Error(`the file has only ${size} bytes`);
  }
  traced.kill("SIGKILL");
  await traced.exited;
  expect(replacements).toBeGreaterThan(3);
  const events = readTrace(file, () => {}); // the last line may be cut
  expect(events[0]?.type).toBe("begin");
  expect(events.length).toBeGreaterThan(100);
});

const unshare = ["unshare", process.getuid?.() === 0 ? "--fork" : "--map-root-user", "--mount"];
const canMount =
  Bun.which("unshare") !== null && Bun.spawnSync([...unshare, "mount", "-t", "tmpfs", "none", "/mnt"]).exitCode === 0;

test.skipIf(!canMount).each([
  ["300k", ["--trace-max", "256k"], false],
  ["128k", ["--trace-max", "0"], true],
] as const)(
  "a disk of %s that is full: the program goes on, and what was written is a valid trace",
  async (size, flags, isCut) => {
    const program = join(newFolder(), "spin.ts");
    const disk = join(folder, "disk");
    mkdirSync(disk);
    writeFileSync(program, SPIN);
    const script = `mount -t tmpfs -o size=${size} none "$0" && { "$@" --trace-file "$0/t.jsonl"; echo "code $?"; ls -A "$0"; cp "$0/t.jsonl" "$0/.."; }`;
    const { stdout, stderr } = await run([
      ...unshare,
      "sh",
      "-c",
      script,
      disk,
      process.execPath,
      cli,
      program,
      ...flags,
    ]);
    expect(stdout).toBe("done\ncode 1\nt.jsonl\n");
    expect(stderr).toMatch(/^error: cannot write to .*\/t\.jsonl: ENOSPC: no space left on device[^\n]*\n$/);
    const notes: string[] = [];
    const events = readTrace(join(folder, "t.jsonl"), (note) => notes.push(note));
    expect(events.length).toBeGreaterThan(100);
    expect(notes).toHaveLength(isCut ? 1 : 0);
  },
);

test("a program that has used up all file descriptors is traced to its end", async () => {
  const program = join(newFolder(), "spin.ts");
  const file = join(folder, "t.jsonl");
  const leak = 'import { openSync } from "node:fs"; try { for (;;) openSync("/dev/null"); } catch {} for (';
  writeFileSync(program, SPIN.replace("for (", leak));
  const command = [process.execPath, cli, program, "--trace-file", file, "--trace-max", "256k"];
  const traced = await run(["sh", "-c", 'ulimit -n 200; exec "$0" "$@"', ...command]);
  expect(traced).toMatchObject({ code: 0, stdout: "done\n" });
  expect(traced.stderr).toMatch(/t\.jsonl has [\d,]+ events of 10,\d{3}: [^\n]* \(--trace-max\)\n$/);
  expect(statSync(file).size).toBeLessThanOrEqual(MIN_TRACE_MAX);
  readTrace(file); // throws if an event is missing
});

test("a device is not limited", async () => {
  const program = join(newFolder(), "spin.ts");
  writeFileSync(program, SPIN);
  const traced = await run(["bun", cli, program, "--trace-file", "/dev/null", "--trace-max", "256k"]);
  expect(traced).toEqual({ code: 0, stdout: "done\n", stderr: "" });
  expect(existsSync("/dev/null")).toBe(true);
});

test("sizes", async () => {
  const message = "--trace-max must be a size from 256K, such as 64M or 2G, or 0 for no limit; received";
  for (const size of ["1", "255K", "64X", "-1", "1.5M", "M"]) {
    const result = await run(["bun", cli, "--trace-file", "/dev/null", `--trace-max=${size}`]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain(`${message} "${size}"`);
  }
  const alone = await run(["bun", cli, "--trace-max", "64M"]);
  expect(alone.stderr).toContain("--trace-max requires --trace-file");
});
