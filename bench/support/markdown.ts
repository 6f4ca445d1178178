// Formats the results of the HTTP benchmark as Markdown: processor time per request, then the ratios and their targets.

import type { Result } from "../http.ts";
import { median } from "./numbers.ts";
import { ratioOf } from "./ratios.ts";
import { NOTES, WITHOUT_IDLE } from "./workloads.ts";

export function markdown(results: readonly Result[], machine: string, command: string): string {
  const all = new Set(results.flatMap(({ rows }) => rows.map(({ name }) => name)));
  const names = [...all].filter((name) => !name.endsWith(WITHOUT_IDLE)); // measured only for a ratio
  const figures = results.map(({ workload, rows }) => {
    const cells = names.map((name) => {
      const row = rows.find((one) => one.name === name);
      if (row === undefined) return "";
      const us = median(row.rounds.map(({ cpuUs }) => cpuUs));
      return us.toFixed(us < 1 ? 2 : us < 100 ? 1 : 0);
    });
    return [workload.title, ...cells];
  });
  const ratios = results.flatMap(({ workload, rows }) =>
    (workload.targets ?? []).map((target) => {
      const { ratio, least, most } = ratioOf(target, rows) ?? { ratio: NaN, least: NaN, most: NaN };
      const range = `${least.toFixed(2)}–${most.toFixed(2)}`;
      return [
        workload.title,
        `${target.ours} ÷ ${target.theirs}${NOTES[target.of]}`,
        ratio.toFixed(2),
        range,
        target.atMost.toFixed(2),
      ];
    }),
  );
  return [
    "µs of processor time per request (medians):",
    "",
    ...table(["", ...names], figures),
    "",
    ...table(["", "ratio", "median", "min–max", "target: at most"], ratios),
    "",
    `${machine}. \`${command}\``,
    "",
  ].join("\n");
}

function table(head: readonly string[], rows: readonly string[][]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)];
}
