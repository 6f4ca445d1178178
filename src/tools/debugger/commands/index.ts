// All commands of the debugger: pdb's names, applied to events instead of source lines.

import type { Command } from "../context.ts";
import { breakpointCommands } from "./breakpoints.ts";
import { clientCommands } from "./clients.ts";
import { evaluationCommands } from "./evaluation.ts";
import { historyCommands } from "./history.ts";
import { inspectionCommands } from "./inspection.ts";
import { runControlCommands } from "./run-control.ts";
import { sourceCommands } from "./source.ts";
import { withHelp } from "./help.ts";

export const commands: readonly Command[] = withHelp([
  ...runControlCommands,
  ...breakpointCommands,
  ...sourceCommands,
  ...evaluationCommands,
  ...inspectionCommands,
  ...historyCommands,
  ...clientCommands,
]);
