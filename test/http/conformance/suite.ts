// The whole suite as tests of one server.

import { describe, test } from "bun:test";
import { leavesNoFd } from "../../support/fds.ts";
import type { EpollServerOptions } from "../../../src/index.ts";
import type { Kind } from "./case.ts";
import { subjects } from "./cases/index.ts";
import { play } from "./play.ts";

export function conforms(kind: Kind, options?: EpollServerOptions): void {
  for (const { subject, cases } of subjects) {
    describe(subject, () => {
      for (const one of cases) {
        if (one.only?.includes(kind) ?? true) test(one.name, () => leavesNoFd(() => play(one, kind, options)));
      }
    });
  }
}
