// Words and names for generated requests.

import type { Random } from "./random.ts";

export const words: [string, ...string[]] =
  "red blue green small large winter summer cotton leather wooden steel garden kitchen office travel coffee paper lamp chair table shoe jacket bottle camera phone cable bag watch clock mirror".split(
    " ",
  ) as [string, ...string[]];

export const slug = (random: Random): string =>
  `${Array.from({ length: 2 + random.integer(3) }, () => random.pick(words)).join("-")}-${random.integer(100_000)}`;
