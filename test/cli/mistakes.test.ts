// epoll-hello told something wrong: exit 2 and what to write instead, or exit 1 and why it cannot listen there.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";
import { Socket } from "../../src/index.ts";
import { cli, run, endPrograms } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const wrong: [flags: string[], says: RegExp][] = [
  [["--prot", "8800"], /unknown flag --prot/],
  [["-p", "8800"], /unknown flag -p/],
  [["--no-foo"], /unknown flag --no-foo/],
  [["serve"], /there is no file "serve" to serve: give a module, as in app\.ts; flags start with --/],
  [["package.json", "more"], /"more" is not an argument/],
  [["--port", "http"], /--port takes a whole number from 0 to 65535, not "http"/],
  [["--port", "65536"], /--port takes .* not "65536"/],
  [["--port", "-1"], /--port takes .* not "-1"/],
  [["--port", "80.5"], /--port takes .* not "80.5"/],
  [["--port", "0x50"], /--port takes .* not "0x50"/],
  [["--port"], /--port takes .* not nothing/],
  [["--port", "--quiet"], /--port needs a value, and --quiet is a flag/],
  [["--backlog", "0"], /--backlog takes a whole number from 1/],
  [["--host", ""], /--host needs a value/],
  [["--host", "no.such.host.invalid"], /"no\.such\.host\.invalid" has no address.*give a name or address/],
  [["--host", "203.0.113.9"], /"203\.0\.113\.9" is not an address of this machine: try localhost/],
  [["--unix", ""], /--unix needs a value/],
  [["--unix", "x".repeat(108)], /path has 108 bytes; the path of a unix socket has at most 107/],
  [["--unix", "x", "--port", "1"], /--unix does not go with --port/],
  [["--quiet=no"], /--quiet takes no value/],
];

for (const [flags, says] of wrong) {
  test(`${flags.join(" ").slice(0, 40)}: exit 2, and what to do`, async () => {
    const { code, stdout, stderr } = await run(["bun", cli, ...flags]);
    expect(stderr).toMatch(says);
    expect(stderr).toContain("--help");
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
}

test("a port that is taken: exit 1, with the address and a hint", async () => {
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

// Root may bind any port; without this one capability it is as everybody else.
const asEverybody =
  process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"] : [];
const canBeForbidden =
  (asEverybody.length === 0 || Bun.which("setpriv") !== null) &&
  Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8")) > 1;

test.skipIf(!canBeForbidden)("a port that is forbidden: exit 1, with the address and a hint", async () => {
  const { code, stderr } = await run([...asEverybody, process.execPath, cli, "--port", "1"]);
  expect(stderr).toContain("EACCES: permission denied 127.0.0.1:1");
  expect(stderr).toContain("ports below 1024 need root");
  expect(code).toBe(1);
});

test("a file in the socket's place: exit 1, and it is not touched", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const path = join(directory, "notes.txt");
    writeFileSync(path, "mine");
    const { code, stderr } = await run(["bun", cli, "--unix", path]);
    expect(stderr).toContain(`EADDRINUSE: address already in use ${path}`);
    expect(code).toBe(1);
    expect(await Bun.file(path).text()).toBe("mine");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("--help names every flag, without colour where none is wanted", async () => {
  const { code, stdout } = await run(["bun", cli, "--help"]);
  for (const flag of ["port", "host", "unix", "classic", "backlog", "quiet", "help", "version"]) {
    expect(stdout).toContain(`--${flag}`);
  }
  expect(stdout).not.toContain("\x1b");
  expect(code).toBe(0);
});

test("--version prints the version", async () => {
  expect(await run(["bun", cli, "--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});
