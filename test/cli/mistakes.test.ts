// Mistakes on the command line: exit code 2 and a correction, or exit code 1 and the reason.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";
import { Socket } from "../../src/index.ts";
import { cli, endPrograms, root, run } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const usageErrors: [args: string[], message: RegExp][] = [
  [["--prot", "8800"], /unknown flag --prot \(did you mean --port\?\)\n/],
  [["--no-clasic"], /unknown flag --no-clasic \(did you mean --no-classic\?\)\n/],
  [["--prot", "8800", "--no-foo", "-x"], /unknown flags --prot \(did you mean --port\?\), --no-foo, -x\n/],
  [["-p", "8800"], /unknown flag -p \(did you mean --port\?\)/],
  [["lessons"], /unknown command "lessons"; did you mean "lesson"\?/],
  [["lessn", "hello"], /unknown command "lessn"; did you mean "lesson"\?/],
  [["reply", "x"], /unknown command "reply"; did you mean "replay"\?/],
  [["lessn", "--json"], /unknown command "lessn"; did you mean "lesson"\?/],
  [["--quiet", "lessn", "hello"], /unknown command "lessn"; did you mean "lesson"\?/],
  [["serve", "examples/16-app.ts"], /there is no command "serve"; run: epoll-hello examples\/16-app\.ts/],
  [["serve", "no-such-app.ts"], /there is no command "serve"; the commands are why, replay, lesson, addons/],
  [["wyh"], /unknown command "wyh"; did you mean "why"\?/],
  [["version"], /unknown command "version"; did you mean "--version"\?/],
  [["help"], /unknown command "help"; did you mean "--help"\?/],
  [["package.json", "more"], /unexpected argument "more"/],
  [["--port", "http"], /--port must be an integer from 0 to 65535; received "http"/],
  [["--port", "65536"], /--port must be .*; received "65536"/],
  [["--port", "-1"], /--port must be .*; received "-1"/],
  [["--port", "80.5"], /--port must be .*; received "80.5"/],
  [["--port", "0x50"], /--port must be .*; received "0x50"/],
  [["--port"], /--port requires a value \(an integer from 0 to 65535\)/],
  [["--port", "--quiet"], /--port requires a value \(an integer from 0 to 65535\)/],
  [["--port", "1", "--port", "2"], /--port is given more than once/],
  [["--backlog", "0"], /--backlog must be an integer from 1 to/],
  [["--host", ""], /--host requires a value/],
  [["--unix", ""], /--unix requires a value/],
  [["--unix", "x".repeat(108)], /path is 108 bytes long; .* can have at most 107/],
  [["--unix", "x", "--port", "1"], /--unix cannot be used with --port/],
  [["--no-quiet=no"], /--no-quiet takes no value/],
  [["--no-port"], /unknown flag --no-port\n/],
  [["--traceFile=x"], /unknown flag --traceFile \(did you mean --trace-file\?\)/],
  [["--app", "package.json"], /unknown flag --app/],
  [["--host", "--no-x", "127.0.0.1"], /--host requires a value/],
  [["--step", "--no-step"], /--step is given more than once/],
  [["--quiet=no"], /--quiet takes no value/],
  [["--inspect", "9000"], /write --inspect=9000, with an equals sign/],
  [["--trace", "json"], /write --trace=json, with an equals sign/],
];

for (const [args, message] of usageErrors) {
  test(`${args.join(" ").slice(0, 40)} exits with code 2, and says what to write instead`, async () => {
    const { code, stdout, stderr } = await run(["bun", cli, ...args]);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^error: .*\nRun epoll-hello --help for usage\.\n$/);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
}

const failures: [args: string[], message: RegExp][] = [
  [
    ["serve"],
    /cannot find the module "serve", and there is no such command; to serve an app, run: epoll-hello app\.ts/,
  ],
  [["no/such/app.ts"], /cannot find the module "no\/such\/app\.ts"/],
  [["src"], /"src" is a directory; pass a module: epoll-hello app\.ts/],
  [
    ["--host", "no.such.host.invalid"],
    /cannot resolve the host "no\.such\.host\.invalid" .*; use a name or an address/,
  ],
  [["--host", "203.0.113.9"], /"203\.0\.113\.9" is not an address of this machine; use localhost/],
];

for (const [args, message] of failures) {
  test(`${args.join(" ")} exits with code 1, and says why`, async () => {
    const { code, stdout, stderr } = await run(["bun", cli, ...args], { cwd: root });
    expect(stderr).toMatch(message);
    expect(stderr).toStartWith("error: ");
    expect(stdout).toBe("");
    expect(code).toBe(1);
  });
}

test("exits with code 1, the address and a hint if the port is in use", async () => {
  const other = new Socket();
  try {
    other.bind({ address: "127.0.0.1", port: 0 });
    other.listen();
    const { port } = other.getsockname() as { port: number };
    const { code, stderr } = await run(["bun", cli, "--port", String(port)]);
    expect(stderr).toContain(`EADDRINUSE: address already in use 127.0.0.1:${port}`);
    expect(stderr).toContain("--port 0");
    expect(code).toBe(1);
  } finally {
    other.close();
  }
});

// Root may bind any port, unless it lacks this one capability.
const unprivileged =
  process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"] : [];
const canTestPrivilegedPort =
  (unprivileged.length === 0 || Bun.which("setpriv") !== null) &&
  Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8")) > 1;

test.skipIf(!canTestPrivilegedPort)("exits with code 1, the address and a hint if the port is privileged", async () => {
  const { code, stderr } = await run([...unprivileged, process.execPath, cli, "--port", "1"]);
  expect(stderr).toContain("EACCES: permission denied 127.0.0.1:1");
  expect(stderr).toContain("Ports below 1024 require root");
  expect(code).toBe(1);
});

test("--unix with the path of a regular file exits with code 1, and does not change the file", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const path = join(directory, "notes.txt");
    writeFileSync(path, "mine");
    const { code, stderr } = await run(["bun", cli, "--unix", path]);
    expect(stderr).toContain(`EADDRINUSE: address already in use ${path}`);
    expect(stderr).toContain("or the path is not a socket");
    expect(code).toBe(1);
    expect(await Bun.file(path).text()).toBe("mine");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("--help lists every flag, examples, environment variables and exit codes, without color on a pipe", async () => {
  const { code, stdout } = await run(["bun", cli, "--help"]);
  for (const flag of [
    "port",
    "host",
    "unix",
    "fd",
    "systemd",
    "backlog",
    "workers",
    "balance",
    "tls-cert",
    "tls-key",
    "proxy-protocol",
    "health",
    "metrics",
    "classic",
    "trace",
    "trace-file",
    "step",
    "inspect",
    "show-bytes",
    "numeric",
    "quiet",
    "help",
    "version",
  ]) {
    expect(stdout).toMatch(new RegExp(`^  (-\\w, )?--${flag}\\b`, "m"));
  }
  for (const title of [
    "USAGE",
    "ARGUMENTS",
    "OPTIONS",
    "COMMANDS",
    "EXAMPLES",
    "ENVIRONMENT VARIABLES",
    "SIGNALS",
    "EXIT CODES",
  ]) {
    expect(stdout).toMatch(new RegExp(`^${title}\\b`, "m"));
  }
  expect(stdout).toContain(`\nDOCUMENTATION ${join(root, "docs")}\n`);
  expect(stdout).not.toContain("\x1b");
  expect(stdout.split("\n").filter((line) => line.length > 100)).toEqual([]);
  expect(code).toBe(0);
});

test("FORCE_COLOR colors output on a pipe, also if NO_COLOR is set", async () => {
  const env = { FORCE_COLOR: "1", NO_COLOR: "1" };
  const help = await run(["bun", cli, "--help"], { env });
  expect(help.stdout).toContain("\n  \x1b[36m--port=<PORT>\x1b[39m  ");
  expect(help.stdout).toContain("\x1b[1mUSAGE\x1b[22m");
  const mistake = await run(["bun", cli, "--nonsense"], { env });
  expect(mistake.stderr).toStartWith("\x1b[31merror\x1b[39m: ");
  expect((await run(["bun", cli, "--help"], { env: { FORCE_COLOR: "0" } })).stdout).not.toContain("\x1b");
});

test("--help is printed even if another flag is unknown", async () => {
  const { code, stdout } = await run(["bun", cli, "--nonsense", "--help"]);
  expect(stdout).toContain("USAGE epoll-hello");
  expect(code).toBe(0);
});

test("--version prints the version", async () => {
  expect(await run(["bun", cli, "--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});
