// All commands of the debugger: pdb's names, applied to events instead of source lines.

import type { Command } from "../context.ts";
import { breakpointCommands } from "./breakpoints.ts";
import { clientCommands } from "./clients.ts";
import { historyCommands } from "./history.ts";
import { inspectionCommands } from "./inspection.ts";
import { runControlCommands } from "./run-control.ts";
import { withHelpAndQuit } from "./help.ts";

export const commands: readonly Command[] = withHelpAndQuit([
  ...runControlCommands,
  ...breakpointCommands,
  ...inspectionCommands,
  ...historyCommands,
  ...clientCommands,
]);
