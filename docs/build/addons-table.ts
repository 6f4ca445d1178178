// Copies the results of the addons' own test suites into docs/native-addons.md, between its two `addons` comments.
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
writeFileSync(
  page,
  text.replace(place, () => `\n${results}\n\n`),
);
