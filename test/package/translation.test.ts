// README.zh-CN.md has the same structure, commands, programs and links as README.md.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

const english = readFileSync(join(root, "README.md"), "utf8");
const chinese = readFileSync(join(root, "README.zh-CN.md"), "utf8");

const matches = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([all, part]) => part ?? all);

test("the code blocks are the same", () => {
  const blocks = /^```.*\n[^]*?^```$/gm;
  expect(matches(chinese, blocks)).toEqual(matches(english, blocks));
});

test("the links and pictures are the same, apart from those to the other language", () => {
  const targets = (text: string): string[] =>
    matches(text, /(?:\]\(|src="|srcset=")([^)"]+)/g).filter((target) => !/^README(\.zh-CN)?\.md$/.test(target));
  expect(targets(chinese).sort()).toEqual(targets(english).sort());
});

test("the headings have the same levels, and the tables the same rows", () => {
  for (const pattern of [/^(#+) /gm, /^(\|).*\|$/gm]) {
    expect(matches(chinese, pattern)).toEqual(matches(english, pattern));
  }
});
