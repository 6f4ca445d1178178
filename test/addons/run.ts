// Runs the test suites of native addons under Node and under Bun with the preload, and compares the results.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { here, installedVersion, prepareSuite, suitesFolder } from "./checkout.ts";
import packageJson from "./package.json" with { type: "json" };
import { explain, staleReasons } from "./reasons.ts";
import { markdownOf, type SuiteReport, tableOf } from "./report.ts";
import { type FileResult, runFile, type Runtime } from "./run-file.ts";
import { type Suite, suites } from "./suites.ts";

const usage = `Usage: npm run test:addons -- [options] [addon ...]

Runs the test suites of native addons under Node and under Bun with the preload, and compares the results.
Exits with 1 if a test passes on Node, fails on Bun, and test/addons/reasons.json doesn't say why.

  --preload MODULE    module to preload (default: epoll-hello/libuv)
  --checkouts DIR     existing checkouts of the addons' repositories, as OWNER/NAME
                      (default: $EPOLL_HELLO_ADDON_CHECKOUTS; otherwise they are fetched from GitHub)
  --file TEXT         only the files whose path contains TEXT
  --plain             also run each file on Bun without the preload
  --no-install        use test/addons/node_modules as it is
  --minutes N         time for all suites (default: 60); files past it are not run
  --json FILE         write the results (default: test/addons/node_modules/.suites/results.json);
                      results of other addons in the file stay
  --markdown FILE     write the table as Markdown
`;

const { values, positionals } = readArguments();

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        preload: { type: "string", default: "epoll-hello/libuv" },
        checkouts: { type: "string" },
        file: { type: "string" },
        plain: { type: "boolean", default: false },
        "no-install": { type: "boolean", default: false },
        minutes: { type: "string", default: "60" },
        json: { type: "string" },
        markdown: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\nnpm run test:addons -- --help lists the options\n`);
    process.exit(2);
  }
}

const root = resolve(here, "../..");
const progress = (text: string): void => void process.stderr.write(text);

/** Installs the pinned addons, unless they are installed. */
async function install(): Promise<void> {
  const pins = Object.entries({ ...packageJson.dependencies, ...packageJson.devDependencies });
  const isInstalled = pins.every(
    ([name, version]) =>
      existsSync(join(here, "node_modules", name, "package.json")) && installedVersion(name) === version,
  );
  if (isInstalled || values["no-install"]) return;
  progress("installing the addons (npm install) …\n");
  // Not npm ci: it requires optional packages for other platforms in the lockfile, of which some are not published.
  const npm = Bun.spawn(["npm", "install", "--no-save", "--no-audit", "--no-fund"], {
    cwd: here,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
    timeout: 15 * 60_000,
  });
  if ((await npm.exited) !== 0) throw new Error(`npm install failed in ${here}`);
}

/** Starts a pseudoterminal that echoes. Returns its path, and what ends it. */
async function echoPort(): Promise<{ path: string; end: () => Promise<void> } | undefined> {
  if (Bun.which("python3") === null) return undefined;
  const python = Bun.spawn(["python3", join(here, "setup/echo-pty.py")], { stdin: "pipe", stdout: "pipe" });
  const reader = python.stdout.getReader();
  const { value } = await reader.read();
  return {
    path: new TextDecoder().decode(value).trim(),
    async end() {
      await python.stdin.end();
      await python.exited;
    },
  };
}

/** Returns the names that occur less often in `present` than in `expected`. */
function missingFrom(expected: readonly string[], present: readonly string[]): string[] {
  const left = [...present];
  return expected.filter((name) => {
    const index = left.indexOf(name);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
}

/** Runs a file once, and a second time if it failed: timeouts of these suites are short for a busy machine. */
async function attempt(
  suite: Suite,
  folder: string,
  file: string,
  runtime: Runtime,
  preload: string,
): Promise<FileResult> {
  const run = async (): Promise<FileResult> => {
    const environment: Record<string, string> = { ...suite.environment };
    // Children of the tests, which are started without a preload, read it too.
    if (runtime === "bun") environment["BUN_OPTIONS"] = `--preload=${preload}`;
    const port = suite.serialPort === true ? await echoPort() : undefined;
    if (port !== undefined) environment["TEST_PORT"] = port.path;
    try {
      return await runFile(suite, folder, file, runtime, environment, suite.timeout ?? 60_000);
    } finally {
      await port?.end();
    }
  };
  const first = await run();
  if (first.ok || runtime === "plain") return first;
  const second = await run();
  return second.ok || second.passed.length > first.passed.length ? second : first;
}

/** Runs a suite and returns its report. */
async function runSuite(suite: Suite, preload: string, deadline: number, filesRun: Set<string>): Promise<SuiteReport> {
  const version = installedVersion(suite.packageName ?? suite.addon);
  const report: SuiteReport = { addon: suite.addon, version, files: [], reasons: [], unexplained: [] };
  if (suite.packageName !== undefined) report.packageName = suite.packageName;
  const folder = await prepareSuite(suite, values.checkouts ?? process.env["EPOLL_HELLO_ADDON_CHECKOUTS"]);
  if (folder instanceof Error) {
    report.skipped = `${folder.message}.`;
    progress(`${suite.addon} ${version}: skipped: ${report.skipped}\n`);
    return report;
  }
  if (suite.prepare !== undefined)
    await Bun.spawn(["node", suite.prepare], { cwd: folder, stdin: "ignore", stdout: "ignore", timeout: 120_000 })
      .exited;
  const files = [...new Set(suite.files.flatMap((glob) => [...new Bun.Glob(glob).scanSync(folder)]))]
    .filter((file) => suite.except?.includes(file) !== true && file.includes(values.file ?? ""))
    .sort();
  for (const file of files) {
    if (Date.now() > deadline) {
      report.unexplained.push(`${file}: not run: the time for all suites was over`);
      continue;
    }
    progress(`${suite.addon} ${file}: `);
    const node = await attempt(suite, folder, file, "node", preload);
    progress(
      `Node ${node.passed.length} of ${node.passed.length + node.failed.length}${node.ok ? "" : ` (${node.end})`}`,
    );
    const bun = await attempt(suite, folder, file, "bun", preload);
    progress(`, Bun ${bun.passed.length} of ${bun.passed.length + bun.failed.length}${bun.ok ? "" : ` (${bun.end})`}`);
    const plain = values.plain ? await attempt(suite, folder, file, "plain", preload) : undefined;
    if (plain !== undefined) progress(`, plain Bun ${plain.passed.length}${plain.ok ? "" : ` (${plain.end})`}`);
    progress("\n");
    report.files.push({ file, node, bun, ...(plain === undefined ? {} : { plain }) });
    filesRun.add(`${suite.addon} ${file}`);
    const differences = missingFrom(node.passed, bun.passed);
    if (differences.length === 0 && node.ok && !bun.ok) differences.push(`(${bun.end})`);
    if (differences.length === 0) continue;
    const { reasons, unexplained } = explain(suite.addon, file, differences);
    for (const reason of reasons) if (!report.reasons.includes(reason)) report.reasons.push(reason);
    for (const test of unexplained) report.unexplained.push(`${file}: ${test}: ${bun.message || bun.end}`);
    for (const test of unexplained.slice(0, 5)) progress(`    unexplained: ${test}\n`);
    if (unexplained.length > 5) progress(`    and ${unexplained.length - 5} more\n`);
    if (unexplained.length > 0) progress(`    ${bun.end}: ${bun.message}\n`);
  }
  return report;
}

interface Results {
  readonly node: string;
  readonly bun: string;
  readonly architecture: string;
  readonly addons: readonly SuiteReport[];
}

/** Writes the results. Results of other addons that the file has, of the same versions of Node and Bun, stay. */
function saveResults(path: string, reports: readonly SuiteReport[], node: string): void {
  const versions = { node, bun: Bun.version, architecture: process.arch };
  let kept: readonly SuiteReport[] = [];
  if (existsSync(path)) {
    const { addons, ...earlier } = JSON.parse(readFileSync(path, "utf8")) as Results;
    if (JSON.stringify(earlier) === JSON.stringify(versions)) kept = addons;
  }
  const addons = suites.flatMap(({ addon }) => {
    const found = reports.find((report) => report.addon === addon) ?? kept.find((report) => report.addon === addon);
    return found === undefined ? [] : [found];
  });
  writeFileSync(path, `${JSON.stringify({ ...versions, addons } satisfies Results, undefined, 2)}\n`);
  if (values.markdown !== undefined) writeFileSync(values.markdown, markdownOf(addons, node, Bun.version));
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const minutes = Number(values.minutes);
  const unknown = positionals.filter((name) => !suites.some((suite) => suite.addon === name));
  if (unknown.length > 0 || !(minutes > 0)) {
    progress(
      unknown.length > 0
        ? `No suite is named ${unknown.join(", ")}.\n`
        : `--minutes ${values.minutes} is not a number above 0.\n`,
    );
    return 2;
  }
  await install();
  const preload = Bun.resolveSync(values.preload, root);
  const deadline = Date.now() + minutes * 60_000;
  const filesRun = new Set<string>();
  const nodeVersion = (await Bun.$`node --version`.text()).trim().slice(1);
  const json = values.json ?? join(suitesFolder, "results.json");
  mkdirSync(suitesFolder, { recursive: true });
  const reports: SuiteReport[] = [];
  for (const suite of suites) {
    if (positionals.length > 0 && !positionals.includes(suite.addon)) continue;
    reports.push(await runSuite(suite, preload, deadline, filesRun));
    // After each suite, so that an interrupted run loses only one.
    saveResults(json, reports, nodeVersion);
  }
  const stale = staleReasons(filesRun);
  process.stdout.write(`${tableOf(reports)}\nResults: ${json}\nOutput of each file: ${join(suitesFolder, "logs")}\n`);
  for (const report of reports)
    for (const failure of new Set(report.unexplained)) progress(`unexplained: ${report.addon}: ${failure}\n`);
  for (const entry of stale) progress(`stale reason: ${entry.addon} ${entry.file} ${entry.test ?? ""}: it passes\n`);
  return reports.some((report) => report.unexplained.length > 0) || stale.length > 0 ? 1 : 0;
}

process.exitCode = await main();
