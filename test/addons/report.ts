// The table of the suites' results, for a terminal and as Markdown.

import type { FileResult } from "./run-file.ts";

export interface FileReport {
  readonly file: string;
  readonly node: FileResult;
  readonly bun: FileResult;
  readonly plain?: FileResult;
}

export interface SuiteReport {
  readonly addon: string;
  readonly version: string;
  packageName?: string;
  readonly files: FileReport[];
  /** Why tests that pass on Node don't on Bun. */
  readonly reasons: string[];
  /** Tests that pass on Node, don't on Bun, and have no reason. */
  readonly unexplained: string[];
  /** Why no file was run. */
  skipped?: string;
}

type Column = "node" | "bun" | "plain";

/** Returns "files passed / files, tests passed / tests" of a runtime. The tests are those that ran on Node. */
function cell(report: SuiteReport, column: Column): string {
  const results = report.files.map((file) => file[column]).filter((result) => result !== undefined);
  if (results.length === 0) return "–";
  const tests = (result: FileResult): number => result.passed.length + result.failed.length;
  const total = report.files.reduce((sum, file) => sum + Math.max(tests(file.node), tests(file.bun)), 0);
  const passed = results.reduce((sum, result) => sum + result.passed.length, 0);
  return `${results.filter((result) => result.ok).length}/${results.length} files, ${passed}/${total} tests`;
}

function rows(reports: readonly SuiteReport[]): string[][] {
  const hasPlain = reports.some((report) => report.files.some((file) => file.plain !== undefined));
  const head = [
    "Addon",
    "Version",
    "Node",
    "Bun with epoll-hello/libuv",
    ...(hasPlain ? ["Plain Bun"] : []),
    "Differences",
  ];
  const body = reports.map((report) => {
    const name = report.packageName === undefined ? report.addon : `${report.addon} (${report.packageName})`;
    const notes = [
      ...(report.skipped === undefined ? [] : [`Skipped: ${report.skipped}`]),
      ...report.reasons,
      ...(report.unexplained.length > 0 ? [`${report.unexplained.length} not explained.`] : []),
    ];
    const plain = hasPlain ? [cell(report, "plain")] : [];
    return [name, report.version, cell(report, "node"), cell(report, "bun"), ...plain, notes.join(" ")];
  });
  return [head, ...body];
}

/** Returns the table with aligned columns. */
export function tableOf(reports: readonly SuiteReport[]): string {
  const table = rows(reports);
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => (row[column] ?? "").length)));
  return `${table
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")}\n`;
}

/** Returns the table as Markdown, with a sentence on how it was made. */
export function markdownOf(reports: readonly SuiteReport[], node: string, bun: string): string {
  const [head = [], ...body] = rows(reports);
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
  return `${[
    `<!-- Written by \`npm run test:addons -- --markdown FILE\`. -->`,
    "",
    `Each addon's own test suite, run under Node ${node} and Bun ${bun} on ${process.platform}-${process.arch}.`,
    "",
    line(head),
    line(head.map(() => "---")),
    ...body.map(line),
  ].join("\n")}\n`;
}
