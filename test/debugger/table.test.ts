// formatTable: column widths, alignment, and rows of different lengths.

import { expect, setDefaultTimeout, test } from "bun:test";
import { formatTable } from "../../src/tools/table.ts";

setDefaultTimeout(60_000);

test("pads every column to its widest cell, without trailing spaces", () => {
  expect(
    formatTable([
      ["fd", "type", "address"],
      ["5", "listener", ""],
      ["12345", "-"],
    ]),
  ).toEqual(["fd     type      address", "5      listener", "12345  -"]);
});

test("aligns the given columns to the right", () => {
  const rows = [
    ["name", "bytes"],
    ["a", "1"],
    ["b", "1000000"],
  ];
  expect(formatTable(rows, { alignRight: [1] })).toEqual(["name    bytes", "a           1", "b     1000000"]);
});

test("returns no lines for no rows", () => {
  expect(formatTable([])).toEqual([]);
});
