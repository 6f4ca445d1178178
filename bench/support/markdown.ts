// The measure as Markdown: processor time for a request, a row for each work and a column for each server; then what was promised.

import type { Result } from "../http.ts";
import { median } from "./numbers.ts";
import { ratioOf } from "./ratios.ts";

export function markdown(results: readonly Result[], machine: string, command: string): string {
  const all = new Set(results.flatMap(({ rows }) => rows.map(({ name }) => name)));
  const names = [...all].filter((name) => !name.endsWith(", without them")); // that is for a ratio
  const figures = results.map(({ work, rows }) => {
    const cells = names.map((name) => {
      const row = rows.find((one) => one.name === name);
      if (row === undefined) return "";
      const us = median(row.rounds.map(({ cpuUs }) => cpuUs));
      return us.toFixed(us < 1 ? 2 : us < 100 ? 1 : 0);
    });
    return [work.title, ...cells];
  });
  const promises = results.flatMap(({ work, rows }) =>
    (work.promises ?? []).map((promise) => {
      const { ratio, least, most } = ratioOf(promise, rows) ?? { ratio: NaN, least: NaN, most: NaN };
      const what = promise.of === "userUs" ? ", user time only" : "";
      const range = `${least.toFixed(2)}–${most.toFixed(2)}`;
      return [
        work.title,
        `${promise.ours} ÷ ${promise.theirs}${what}`,
        ratio.toFixed(2),
        range,
        promise.atMost.toFixed(2),
      ];
    }),
  );
  return [
    "µs of processor time for a request (medians):",
    "",
    ...table(["", ...names], figures),
    "",
    ...table(["", "ratio", "median", "least–most", "aim: at most"], promises),
    "",
    `${machine}. \`${command}\``,
    "",
  ].join("\n");
}

function table(head: readonly string[], rows: readonly string[][]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)];
}
