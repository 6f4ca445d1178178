// Text tables with aligned columns, for the terminal.

const COLUMN_GAP = "  ";

/**
 * Returns one line for each row, with every column padded to its widest cell.
 *
 * Rows may be shorter than the first one. Trailing spaces are removed.
 *
 * @param options.alignRight the indexes of the columns that are aligned right; default: none
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  { alignRight = [] }: { alignRight?: readonly number[] } = {},
): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => (alignRight.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join(COLUMN_GAP)
      .trimEnd(),
  );
}
