#!/usr/bin/env bun
// The entry point of the command: parses the command line, runs the command, and sets the exit code.

import { takeWorkerTask } from "../../workers/worker-task.ts";
import { printAppAddress, takeAddressRequest } from "./app-address.ts";
import { isSubcommand, UsageError } from "./command-line.ts";
import { EXIT_FAILURE, EXIT_USAGE } from "./exit-codes.ts";
import { describeError, logError } from "./logger.ts";
import { parseArguments } from "./parse-arguments.ts";
import { finishOutput, onOutputFailure, printColored, printLine } from "./stdout.ts";

/** Runs the command, whose module is imported only now, so that a server starts quickly. Returns the exit code. */
async function main(rawArguments: readonly string[]): Promise<number> {
  const task = takeWorkerTask();
  const command = parseArguments(rawArguments, task !== undefined);
  if (task !== undefined) return (await import("./commands/workers.ts")).runAsWorker(task, command);
  const supervisor = takeAddressRequest();
  if (supervisor !== undefined && command.kind === "serve" && command.app !== undefined)
    return printAppAddress(command.app, supervisor);
  switch (command.kind) {
    case "help":
      printColored(await (await import("./help.ts")).helpText(command.command));
      return 0;
    case "version":
      printLine((await import("./flags.ts")).VERSION);
      return 0;
    case "serve":
      if (command.workers === undefined) return (await import("./commands/serve.ts")).serve(command);
      return (await import("./commands/workers.ts")).supervise(command, command.workers);
    case "trace-program":
      return (await import("./commands/trace-program.ts")).traceProgram(command.program, command.trace);
    case "trace-process":
      return (await import("./commands/trace-process.ts")).traceProcess(command.process, command.trace);
    case "step":
      return (await import("./commands/step.ts")).step(command);
    case "inspect":
      return (await import("./commands/inspect.ts")).inspect(command);
    case "why":
      return (await import("./commands/why.ts")).why(command);
    case "lesson":
      return (await import("./commands/lesson.ts")).lesson(command.id, command.isJson);
    case "addons":
      return (await import("./commands/addons.ts")).addons(command);
    case "replay":
      if (command.inspectorPort !== undefined) {
        return (await import("./commands/inspect.ts")).inspectTrace(command.file, command.inspectorPort);
      }
      if (command.isStepping) {
        return (await import("./commands/step.ts")).stepThroughTrace(command.file, command.trace.isNumeric);
      }
      return (await import("./commands/trace.ts")).replay(command.file, command.trace, command.chromeFile);
  }
}

/** Reports an error. Returns the exit code. */
function report(error: unknown, [word]: readonly string[]): number {
  if (!(error instanceof UsageError)) {
    logError(describeError(error));
    return EXIT_FAILURE;
  }
  const name = isSubcommand(word) ? `epoll-hello ${word}` : "epoll-hello";
  logError(`${error.message}\nRun ${name} --help for usage.`);
  return EXIT_USAGE;
}

const rawArguments = process.argv.slice(2);
onOutputFailure(logError);
let exitCode: number;
try {
  exitCode = await main(rawArguments);
} catch (error) {
  exitCode = report(error, rawArguments);
}
process.exitCode = finishOutput(exitCode);
