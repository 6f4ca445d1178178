// HTTP/1.1 conformance: the cases in cases/, run against each kind of handler and in both modes of the loop.

import { describe, setDefaultTimeout, test } from "bun:test";
import { leavesNoFd } from "../../support/fds.ts";
import { isFullRun } from "../../support/scale.ts";
import type { EpollServerOptions } from "../../../src/index.ts";
import type { Case, Kind } from "./case.ts";
import { subjects } from "./cases/index.ts";
import { play } from "./play.ts";

setDefaultTimeout(60_000);

interface Configuration {
  name: string;
  kind: Kind;
  options: EpollServerOptions;
  /** Whether a quick run plays only a sample, because other configurations cover most of the same code. */
  isSampled: boolean;
}

const configurations: readonly Configuration[] = [
  { name: "static response", kind: "static", options: {}, isSampled: false },
  { name: "static response, one system call per event", kind: "static", options: { eager: false }, isSampled: true },
  { name: "handler that reads bodies", kind: "echo", options: {}, isSampled: true },
  {
    name: "handler that reads bodies, one system call per event",
    kind: "echo",
    options: { eager: false },
    isSampled: false,
  },
  { name: "handler that ignores bodies", kind: "ignore", options: {}, isSampled: true },
];

/** One of this many cases is in the sample. */
const SAMPLE_INTERVAL = 10;

for (const { name, kind, options, isSampled } of configurations) {
  describe(name, () => {
    for (const { subject, cases } of subjects) {
      describe(subject, () => {
        const asked = cases.filter((one) => one.only?.includes(kind) ?? true);
        const isPlayed = (one: Case, i: number): boolean =>
          isFullRun || !isSampled || i % SAMPLE_INTERVAL === 0 || isSpecificTo(kind, one);
        for (const one of asked.filter(isPlayed)) {
          test(one.name, () => leavesNoFd(() => play(one, kind, options)));
        }
      });
    }
  });
}

/** Whether a case expects something else of this kind of handler than of the others. */
function isSpecificTo(kind: Kind, { on, only }: Case): boolean {
  return on?.[kind] !== undefined || only?.length === 1;
}
