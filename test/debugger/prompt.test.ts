// The habits of pdb and gdb at the debugger's prompt: lines, counts, statements, source lists, watches, and starting again.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endPrograms, root } from "../support/programs.ts";
import { session, typedInto } from "../support/step-session.ts";

setDefaultTimeout(60_000);

let folder = "";
let server = "";
let exiting = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const library = JSON.stringify(join(root, "src", "index.ts"));
  server = join(folder, "server.ts");
  writeFileSync(
    server,
    `import { Epoll, EPOLLIN, Socket, AF_INET, SOCK_STREAM } from ${library};
globalThis.served = 0;
const listener = new Socket(AF_INET, SOCK_STREAM);
listener.bind({ address: "127.0.0.1", port: 0 });
listener.listen(8);
const epoll = new Epoll();
epoll.register(listener, EPOLLIN);
function accept(): void {
  const { socket } = listener.accept()!;
  globalThis.served++;
  socket.close();
}
for (;;) {
  for (const [fd] of epoll.poll()) {
    if (fd === listener.fileno()) accept();
  }
}
`,
  );
  exiting = join(folder, "exiting.ts");
  writeFileSync(
    exiting,
    `import { EventFd } from ${library};\nnew EventFd(1).read();\nprocess.exit(Number(process.argv[2]));\n`,
  );
});
afterAll(() => rmSync(folder, { recursive: true }));
afterAll(endPrograms);

const debug = (commands: string[]): ReturnType<typeof typedInto> => typedInto(commands, [server, "--step"]);

test.concurrent("b LINE and b FILE:LINE pause at a call that is made from that line, and b fd N at an fd", async () => {
  const { lines } = await debug(["b 9", "b server.ts:14", "b 99", "b fd 3", "connect", "c", "c", "b", "q"]);
  expect(lines).toContain(`Breakpoint 1 at ${server}:9`);
  expect(lines).toContain(`Breakpoint 2 at ${server}:14`);
  expect(lines).toContain("*** server.ts has 17 lines".replace("server.ts", server));
  expect(lines).toContain("Breakpoint 3 at fd 3");
  const at = (text: string): number => lines.lastIndexOf(text);
  expect(lines[at("Breakpoint 2") + 1]).toBe(`> ${server}:14`);
  expect(lines[at("Breakpoint 2") + 2]).toBe("-> for (const [fd] of epoll.poll()) {");
  expect(lines[at("Breakpoint 1") + 1]).toBe(`> ${server}:9`);
  expect(lines[at("Breakpoint 1") + 2]).toBe("-> const { socket } = listener.accept()!;");
});

test.concurrent("a condition that fails is reported, and pauses", async () => {
  const { lines } = await debug(["b accept, nothing.at.all", "connect", "c", "q"]);
  const error = "ReferenceError: nothing is not defined";
  expect(lines).toContain(`Breakpoint 1: the condition nothing.at.all failed: ${error}`);
});

test.concurrent("n, s, c and until take counts; other commands reject arguments that they do not take", async () => {
  const { lines } = await session([
    "n 3",
    "p `i${iteration}`",
    "s 2",
    "b wait",
    "c 2",
    "p `i${iteration}`",
    "until",
    "p `i${iteration}`",
    "r 3",
    "ll 3",
    "q now",
    "n x",
    "s 0",
    "q",
  ]);
  expect(lines.filter((line) => /^"i\d+"$/.test(line))).toEqual(['"i4"', '"i8"', '"i9"']);
  expect(lines).toContain("*** r takes no argument; received 3");
  expect(lines).toContain("*** ll takes no argument; received 3");
  expect(lines).toContain("*** q takes no argument; received now");
  expect(lines).toContain('*** usage: n [COUNT] ("x" is not a number)');
  expect(lines).toContain("*** usage: s [COUNT] (COUNT must be at least 1)");
});

test.concurrent("l lists source lines and continues, also for a blank line; l . starts again", async () => {
  const { text } = await debug(["b 9", "connect", "c", "l", "", "l .", "l 2, 3", "q"]);
  const source = readFileSync(server, "utf8").trimEnd().split("\n");
  const range = (first: number, last: number): string[] => source.slice(first - 1, last).map((line) => line.trim());
  const lists = text.split(/^\(epoll\) .*\n/m).map((part) =>
    part
      .trimEnd()
      .split("\n")
      .map((line) => line.replace(/^ *\w+(?: ->)? */, "")),
  );
  expect(lists.slice(4, 8)).toEqual([range(4, 14), range(15, 17), range(4, 14), range(2, 3)]);
  expect(text).toMatch(/^ {3}9 -> {3}const \{ socket \} = listener\.accept\(\)!;$/m);
});

test.concurrent("bt, up and down show the calls of the program, and l lists the selected one", async () => {
  const { text, lines } = await debug(["b 9", "connect", "c", "bt", "up", "l", "up", "down", "down", "locals", "q"]);
  expect(lines).toContain(`> #0 accept at ${server}:9`);
  expect(lines).toContain(`> #1 (anonymous) at ${server}:15`);
  expect(text).toMatch(/^ {2}15 -> {5}if \(fd === listener\.fileno\(\)\) accept\(\);$/m);
  expect(lines).toContain("*** this is the outermost call");
  expect(lines).toContain("*** this is the innermost call");
  expect(text).toContain("Local variables cannot be read: Bun's inspector does not attach to a thread.");
});

test.concurrent("any other line is run as JavaScript, and its variables last", async () => {
  const { lines } = await debug([
    "1 + 1",
    "let x = 20",
    "const { a, b } = { a: 1, b: 2 }; a + b",
    "x += 1",
    "x * 2",
    "for (let i = 0; i < 3; i++) { x += i }",
    "x",
    "function double(n) { return 2 * n }",
    "double(x)",
    "s = 'not a step'; s.length",
    "!n = 5",
    "n + 1",
    "await Promise.resolve(7)",
    "const { basename } = await import('node:path')",
    "basename('/a/bc')",
    "throw new TypeError('oops')",
    "1 +",
    "served",
    "p served;; p iteration",
    "q",
  ]);
  for (const value of ["2", "3", "21", "42", "24", "48", "10", "5", "6", "7", '"bc"', "0"])
    expect(lines).toContain(value);
  expect(lines).toContain("*** TypeError: oops");
  expect(lines.some((line) => line.startsWith("*** BuildMessage: ") || line.startsWith("*** SyntaxError: "))).toBe(
    true,
  );
});

test.concurrent("a promise that has to wait is printed when the program has settled it", async () => {
  const { lines } = await session(["await server.stop().then(() => 'stopped')", "c", "q"]);
  expect(lines.some((line) => line.startsWith("the promise is pending: "))).toBe(true);
});

test.concurrent("watch pauses when a value changes, and commands run at each hit, silently if asked to", async () => {
  const { lines } = await debug([
    "watch served",
    "b accept",
    "commands",
    "silent",
    "p 'accepted ' + event.fd",
    "c",
    "i b",
    "connect",
    "connect",
    "c",
    "disable 2",
    "c",
    "q",
  ]);
  expect(lines).toContain("Breakpoint 1 at a change of served");
  expect(lines.filter((line) => /^"accepted \d+"$/.test(line)).length).toBeGreaterThan(0);
  expect(lines).not.toContain("Breakpoint 2");
  expect(lines).toContain("Watch 1: served: 0 -> 1");
  expect(lines).toContain("Watch 1: served: 1 -> 2");
});

test.concurrent("run starts again, and keeps breakpoints", async () => {
  const { lines } = await debug(["b 9", "connect", "c", "run", "connect", "c", "b", "q"]);
  expect(lines.filter((line) => line === `${server} is ready to run; h for help, q to quit`)).toHaveLength(2);
  expect(lines.filter((line) => line === "Breakpoint 1")).toHaveLength(2);
  expect(lines).toContain(`Breakpoint 1 at ${server}:9, hit 1 time`);
});

test.concurrent("prints the exit code of the program, and exits with it", async () => {
  for (const code of [0, 7]) {
    const ended = await typedInto(["c", "c", "q"], [exiting, "--step", "--", String(code)]);
    expect(ended.lines).toContain(`The program exited with code ${code}.`);
    expect(ended.lines).toContain("*** nothing to continue: the program has ended (run starts again)");
    expect(ended.code).toBe(code);
  }
});

test.concurrent("save does not overwrite a file", async () => {
  const file = join(folder, "precious.txt");
  writeFileSync(file, "precious");
  const { lines } = await session([`save ${file}`, "q"]);
  expect(lines).toContain(`not saved: ${file} exists`);
  expect(readFileSync(file, "utf8")).toBe("precious");
});

test.concurrent("a saved trace opens no file that does not belong to its program", async () => {
  const file = join(folder, "evil.jsonl");
  const moment = { us: 1, iteration: 1 };
  const events = [
    { seq: 1, us: 0, iteration: 0, type: "begin", version: 2, pid: 1, date: "2026-01-01T00:00:00.000Z" },
    {
      seq: 2,
      ...moment,
      type: "wait",
      epfd: 3,
      timeoutMs: -1,
      maxEvents: 1,
      result: 0,
      events: [],
      blockedUs: 1,
      at: "/etc/passwd:1",
    },
    { seq: 3, ...moment, type: "close", fd: 4, result: 0, at: "src/../../../../../../../../etc/passwd:1" },
    { seq: 4, ...moment, type: "close", fd: 5, result: 0, at: "src/server/run-loop.ts:1" },
  ];
  writeFileSync(file, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  const { text, lines } = await session(["l", "ll", "s", "l", "s", "l", "q"], "replay", file, "--step");
  expect(text).not.toContain("root:");
  expect(lines).toContain('*** "/etc/passwd" is not opened: it does not belong to the program of the trace');
  expect(text).toContain("// The run loop: waits for events");
});

test.concurrent("a blank line does not repeat a command that has side effects", async () => {
  const { lines } = await session(["connect", "", "i clients", "n", "", "p iteration", "q"]);
  expect(lines).toContain("c1");
  expect(lines).toContain("3");
});

test.concurrent("info, delete and clear list and remove breakpoints", async () => {
  const { lines } = await session(["b accept", "b recv", "info breakpoints", "delete 1", "i b", "delete", "i b", "q"]);
  expect(lines.filter((line) => line === "Breakpoint 2 at recv")).toHaveLength(3);
  expect(lines).toContain("Deleted breakpoint 1");
  expect(lines.some((line) => line.startsWith("No breakpoints. Examples: b 42, b server.ts:42"))).toBe(true);
});
