// Copies the results of the addons' own test suites into docs/native-addons.md, between its two `addons` comments. The last column
// of the table, with the reasons for differences, becomes a list.
//
//   bun docs/build/addons-table.ts FILE && npm run format
//
// FILE contains the table as Markdown: `npm run test:addons -- --markdown FILE` writes it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const page = join(root, "docs/native-addons.md");

const [, , file] = process.argv;
if (file === undefined) {
  console.error("usage: bun docs/build/addons-table.ts FILE");
  process.exit(2);
}
const results = readFileSync(file, "utf8")
  .replace(/<!--.*?-->\n*/gs, "")
  .trim();
if (!/^\|/m.test(results)) throw new Error(`${file} contains no table`);
const text = readFileSync(page, "utf8");
const place = /(?<=^<!-- addons: begin .*-->\n)[^]*?(?=^<!-- addons: end -->$)/m;
if (!place.test(text)) throw new Error(`${page} has no place for the table`);
const rows = results.match(/^\|.*\|$/gm)?.map((row) => row.slice(1, -1).split(/(?<!\\)\|/)) ?? [];
const table = rows.map((cells) => `|${cells.slice(0, -1).join("|")}|`).join("\n");
const notes = rows.slice(2).flatMap((cells) => {
  const note = cells.at(-1)?.trim();
  return note === "" ? [] : [`- ${cells[0]?.trim()}: ${note}`];
});
const introduction = results.slice(0, results.indexOf("|")).trim();
const parts = [introduction, table, ...(notes.length > 0 ? ["Reasons for the differences:", notes.join("\n")] : [])];
writeFileSync(
  page,
  text.replace(place, () => `\n${parts.join("\n\n")}\n\n`),
);
