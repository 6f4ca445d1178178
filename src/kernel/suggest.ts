// Suggestions for misspelled names: the candidate that the user most likely meant.

const MAX_DISTANCE = 2;
/** Words up to this length may differ by only one edit, because almost any two of them are within two edits. */
const SHORT_WORD = 3;

/**
 * Returns the candidate closest to `word`, or undefined. It is at most two edits away, or it starts with `word`.
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  const typed = word.toLowerCase();
  const limit = typed.length <= SHORT_WORD ? 1 : MAX_DISTANCE;
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const name = candidate.toLowerCase();
    let distance = editDistance(typed, name);
    if (distance > limit) {
      if (typed === "" || !name.startsWith(typed)) continue;
      distance = MAX_DISTANCE + 1; // a close spelling is more likely than an abbreviation
    }
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Returns the number of letters to insert, remove, replace or swap with a neighbor (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let distance = Math.min(
        (previous[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (previous[j - 1] as number) + (isSame ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, (beforePrevious[j - 2] as number) + 1);
      }
      row.push(distance);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[b.length] as number;
}
