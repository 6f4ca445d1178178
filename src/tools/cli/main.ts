#!/usr/bin/env bun
// bunx epoll-hello: reads the command line, serves or measures, and ends with the exit code that fits.

import { parseArguments } from "./parse-arguments.ts";
import { usage, version } from "./flags.ts";
import { isSubcommand, type CommandLine, UsageError } from "./command-line.ts";
import { printLine } from "./stdout.ts";
import { explain, showError } from "./logger.ts";
import { takeWorkerTask } from "../../workers/worker-task.ts";

/** Each way to use it loads what it needs, and no more: a server is there the sooner. */
async function main(rawArguments: string[]): Promise<number> {
  const task = takeWorkerTask();
  if (task !== undefined) return (await import("./commands/workers.ts")).serveAsWorker(task, rawArguments);
  const request: CommandLine = parseArguments(rawArguments);
  switch (request.kind) {
    case "help":
      printLine((await usage(request.of)).trimEnd());
      return 0;
    case "version":
      printLine(version);
      return 0;
    case "serve":
      if (request.team === undefined) return (await import("./commands/serve.ts")).serve(request);
      return (await import("./commands/workers.ts")).supervise(
        request.options,
        request.team,
        request.isQuiet,
        request.isService,
      );
    case "program":
      return (await import("./commands/trace-program.ts")).traceProgram(request.program, request.trace);
    case "why":
      return (await import("./commands/why.ts")).why(request.options);
    case "step":
      return (await import("./commands/step.ts")).step(request.options, request);
    case "inspect":
      return (await import("./commands/inspect.ts")).inspect(request.options, request);
    case "lesson":
      return (await import("./commands/lesson.ts")).lesson(request.id, request.isJson);
    case "replay":
      if (request.page !== undefined) return (await import("./commands/inspect.ts")).show(request.file, request.page);
      if (request.steps) return (await import("./commands/step.ts")).stepThrough(request.file, request.trace.isNumeric);
      return (await import("./commands/trace.ts")).replay(request.file, request.trace);
  }
}

const rawArguments = process.argv.slice(2);
try {
  process.exitCode = await main(rawArguments);
} catch (error) {
  const isUsage = error instanceof UsageError;
  const [word] = rawArguments;
  const command = isSubcommand(word) ? `epoll-hello ${word}` : "epoll-hello";
  showError(
    isUsage
      ? `${error.message}
${command} --help shows what can be given.`
      : explain(error),
  );
  process.exitCode = isUsage ? 2 : 1;
}
