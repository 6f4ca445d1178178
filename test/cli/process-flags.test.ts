// The command line for other programs: what is parsed, and the mistakes that get a correction.

import { expect, setDefaultTimeout, test } from "bun:test";
import { UsageError } from "../../src/tools/cli/command-line.ts";
import { parseArguments } from "../../src/tools/cli/parse-arguments.ts";

setDefaultTimeout(60_000);

const mistakes: [args: string[], message: string][] = [
  [
    ["--", "python3", "x.py"],
    'nothing to do with the command "python3": pass --trace, --trace-file FILE, --summary, --step or --inspect, such as epoll-hello --trace -- python3 x.py',
  ],
  [
    ["--pid", "1"],
    "nothing to do with --pid 1: pass --trace, --trace-file FILE, --summary, --step or --inspect, such as epoll-hello --trace --pid 1",
  ],
  [["--trace", "--pid", "1", "--", "ls"], "--pid cannot be used with a command after --: trace one or the other"],
  [["--trace", "--pid", "none"], '--pid must be an integer from 1 to 2147483647; received "none"'],
  [["--trace", "--pid", "0"], '--pid must be an integer from 1 to 2147483647; received "0"'],
  [["--trace", "--pid"], "--pid requires a value (the id of a running process)"],
  [["--trace", "--port", "80", "--", "ls"], '--port applies to the server of epoll-hello, not to the command "ls"'],
  [["--trace", "--classic", "--pid", "7"], "--classic applies to the server of epoll-hello, not to --pid 7"],
  [["--trace", "--all-stop", "--", "ls"], "--all-stop requires --step, --inspect or --inspect-brk"],
  [
    ["--trace", "--no-follow"],
    "--no-follow applies to other programs: epoll-hello --trace --no-follow -- COMMAND [ARGUMENTS]",
  ],
  [
    ["--step", "--all-stop"],
    "--all-stop applies to other programs: epoll-hello --trace --all-stop -- COMMAND [ARGUMENTS]",
  ],
  [["--step", "--trace-max", "1M", "--", "ls"], "--trace-max requires --trace-file"],
  [["--trace=xml", "--", "ls"], '--trace must be "text" or "json"; received "xml"'],
  [["--traec", "--", "ls"], "unknown flag --traec (did you mean --trace?)"],
  [["--trace", "--no-folow", "--", "ls"], "unknown flag --no-folow (did you mean --no-follow?)"],
  [
    ["--summary", "--workers", "2"],
    "--summary cannot be used with --workers: every worker has a loop of its own; trace one process",
  ],
  [
    ["examples/16-app.ts", "--trace", "--pid", "7"],
    "--pid cannot be used with examples/16-app.ts: it traces a process that runs already",
  ],
];

for (const [args, message] of mistakes) {
  test(`rejects ${args.join(" ")}`, () => {
    let error: unknown;
    try {
      parseArguments(args);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toBe(message);
  });
}

test("a command gets its arguments unchanged, flags included", () => {
  expect(parseArguments(["--trace", "--", "python3", "x.py", "--port", "80", "--", "-h"])).toMatchObject({
    kind: "trace-process",
    process: { target: { command: ["python3", "x.py", "--port", "80", "--", "-h"] }, follows: true, stopsAll: false },
    trace: { format: "text", file: undefined, hasSummary: false },
  });
});

test("each way to look at a program can be used with a command and with a process", () => {
  const kinds = [
    ["--trace=json"],
    ["--trace-file", "f"],
    ["--summary"],
    ["--step"],
    ["--inspect"],
    ["--inspect-brk=9000"],
  ];
  for (const flags of kinds) {
    const started = parseArguments([...flags, "--no-follow", "--", "ls"]);
    const attached = parseArguments([...flags, "--pid", "42"]);
    expect(started).toMatchObject({ process: { target: { command: ["ls"] }, follows: false } });
    expect(attached).toMatchObject({ process: { target: { pid: 42 }, follows: true }, kind: started.kind });
  }
  expect(parseArguments(["--step", "--inspect", "--all-stop", "--pid", "42"])).toMatchObject({
    kind: "step",
    inspectorPort: 0,
    process: { stopsAll: true },
  });
});

test("totals can be had of a server, a program and a saved trace", () => {
  expect(parseArguments(["--summary"])).toMatchObject({
    kind: "serve",
    trace: { format: undefined, hasSummary: true },
  });
  expect(parseArguments(["replay", "f", "--summary"])).toMatchObject({ trace: { hasSummary: true } });
  expect(() => parseArguments(["replay", "f", "--summary", "--json"])).toThrow("--summary cannot be used with --json");
});
