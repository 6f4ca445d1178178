#!/usr/bin/env bun
// bunx epoll-hello: reads the command line, serves, and ends with the exit code that fits.

import { type Request, readArguments, usage, UsageError, version } from "./arguments.ts";
import { printLine } from "./print.ts";
import { explain, serve, showError } from "./serve.ts";

async function main(rawArguments: string[]): Promise<number> {
  const request: Request = readArguments(rawArguments);
  switch (request.kind) {
    case "help":
      printLine((await usage()).trimEnd());
      return 0;
    case "version":
      printLine(version);
      return 0;
    case "serve":
      return serve(request.options, request.isQuiet, request.isService);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  showError(isUsage ? `${error.message}\nepoll-hello --help shows what can be given.` : explain(error));
  process.exitCode = isUsage ? 2 : 1;
}
