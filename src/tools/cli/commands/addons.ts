// epoll-hello addons: lists a project's native addons, the libuv functions they need, and whether they run on Bun.

import { basename, relative } from "node:path";
import { escapeControls } from "../../../kernel/escape-controls.ts";
import { type AddonReport, type AddonResult, checkAddons, type ProjectReport } from "../../addons/check-addons.ts";
import { formatPlatform } from "../../addons/platform.ts";
import { formatTable } from "../../table.ts";
import { hasColor } from "../color.ts";
import type { AddonsCommand } from "../command-line.ts";
import { EXIT_FAILURE } from "../exit-codes.ts";
import { formatCount } from "../format.ts";
import { logWarning } from "../logger.ts";
import { flushLines, printColored, printLine } from "../stdout.ts";
import { wrap } from "../wrap.ts";

/** Checks, and prints the result. Returns the exit code: 1 if an addon does not run. */
export function addons({ directory, isVerbose, isJson }: AddonsCommand): number {
  const report = checkWithProgress(directory);
  for (const problem of report.problems) logWarning(`${problem}; its addons are not listed`);
  if (isJson) printLine(JSON.stringify(report, null, 2));
  else for (const line of toText(report, isVerbose)) printColored(line);
  flushLines();
  return report.addons.some(({ result }) => result === "fails") ? EXIT_FAILURE : 0;
}

const RESULTS: Readonly<Record<AddonResult, readonly [text: string, color: number]>> = {
  "plain-bun": ["runs on plain Bun", 32],
  "with-libuv": ["runs with epoll-hello/libuv", 36],
  fails: ["doesn't run", 31],
};

function toText(report: ProjectReport, isVerbose: boolean): string[] {
  const { addons: list, directory, otherFiles } = report;
  const notBuilt = formatUnbuilt(report);
  const others = otherFiles === 0 ? [] : [`${formatCount(otherFiles, "file")} for other platforms not checked`];
  if (list.length === 0)
    return [`no native addons for this platform in ${escapeControls(directory)}`, ...notBuilt, ...others];
  const groups = groupCopies(list);
  const isColored = hasColor(1);
  const rows = groups.map(({ addon, copies }) => {
    const [text, color] = RESULTS[addon.result];
    const note = copies === 1 ? "" : ` (${copies} copies)`;
    const result = isColored ? `\x1b[${color}m${text}\x1b[39m` : text;
    const [name, version] = [nameOf(addon, list), addon.version ?? ""].map(escapeControls) as [string, string];
    return [name, version, String(addon.uvFunctions.length), `${result}${note}`];
  });
  const failed = Map.groupBy(
    groups.filter(({ addon }) => addon.result === "fails"),
    ({ addon }) => addon.reason,
  );
  const usesLibuv = list.some(({ result }) => result === "with-libuv");
  return [
    ...formatTable([["package", "version", "uv functions", "result"], ...rows], {
      alignRight: [2],
    }),
    ...[...failed].flatMap(([reason, same]) => {
      const names = same.map(({ addon }) => fullName(addon, list));
      return ["", ...wrap(escapeControls(`${names.join(", ")}: ${reason}`))];
    }),
    ...(isVerbose ? groups.flatMap(({ addon }) => ["", ...details(addon, list)]) : []),
    ...(notBuilt.length > 0 ? ["", ...notBuilt] : []),
    "",
    ...(usesLibuv ? ["To run those that need libuv: bun --preload epoll-hello/libuv app.ts"] : []),
    [formatPlatform(report.platform), `Bun ${report.bun}`, `libuv: ${report.libuv ?? "not installed"}`, ...others]
      .map(escapeControls)
      .join(", "),
  ];
}

function formatUnbuilt({ unbuilt }: ProjectReport): string[] {
  const [first] = unbuilt;
  if (first === undefined) return [];
  const names = new Set(unbuilt.map(({ package: name, version }) => (version === null ? name : `${name} ${version}`)));
  const hint = `bun pm trust ${first.package}, or npm rebuild ${first.package}`;
  return wrap(escapeControls(`not built, because the install script has not run (${hint}): ${[...names].join(", ")}`));
}

/** Merges the copies of a package that several others depend on, as long as their results agree. */
function groupCopies(list: readonly AddonReport[]): { addon: AddonReport; copies: number }[] {
  const groups = Map.groupBy(list, (addon) =>
    JSON.stringify([addon.package, addon.version, basename(addon.path ?? ""), addon.result, addon.reason]),
  );
  return [...groups.values()].map((group) => ({ addon: group[0] as AddonReport, copies: group.length }));
}

/** Returns the name of the package, and that of the file if the package has several addons. */
function nameOf(addon: AddonReport, list: readonly AddonReport[]): string {
  const names = new Set(
    list.filter((other) => other.package === addon.package).map(({ path }) => basename(path ?? "")),
  );
  return names.size > 1 && addon.path !== null ? `${addon.package} (${basename(addon.path)})` : addon.package;
}

function fullName(addon: AddonReport, list: readonly AddonReport[]): string {
  return addon.version === null ? nameOf(addon, list) : `${nameOf(addon, list)} ${addon.version}`;
}

function details(addon: AddonReport, list: readonly AddonReport[]): string[] {
  const unsupported = new Set(addon.unsupportedByBun);
  const names = addon.uvFunctions.map((name) => (unsupported.has(name) ? `${name}*` : name));
  const note = unsupported.size === 0 ? "" : " (* ends the process on plain Bun)";
  return [
    fullName(addon, list),
    ...(addon.path === null ? [] : [relative(process.cwd(), addon.path)]),
    ...(names.length === 0
      ? ["no uv functions"]
      : wrap(`${formatCount(names.length, "uv function")}${note}: ${names.join(", ")}`)),
    ...(addon.usesEventLoop ? ["asks Node-API for the event loop"] : []),
  ].map((line, i) => (i === 0 ? escapeControls(line) : `  ${escapeControls(line)}`));
}

const PROGRESS_INTERVAL_MS = 100;

/** Shows progress on one line of the terminal, which is erased at the end. */
function checkWithProgress(directory: string): ProjectReport {
  if (!process.stderr.isTTY) return checkAddons(directory);
  let shownAt = performance.now();
  let isShown = false;
  try {
    return checkAddons(directory, (count) => {
      if (performance.now() - shownAt < PROGRESS_INTERVAL_MS) return;
      shownAt = performance.now();
      isShown = true;
      process.stderr.write(`\r\x1b[Ksearched ${formatCount(count, "package")}`);
    });
  } finally {
    if (isShown) process.stderr.write("\r\x1b[K");
  }
}
