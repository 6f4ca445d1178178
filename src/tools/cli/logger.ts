// Errors and warnings, as sentences on standard error: consola's, which is loaded when there is one. It takes 20 ms.

import type { ConsolaInstance } from "consola";
import { ErrnoError } from "../../kernel/errors.ts";
import { printAside } from "./stdout.ts";

let loaded: ConsolaInstance | undefined;

function consola(): ConsolaInstance {
  const { createConsola } = require("consola") as typeof import("consola");
  return createConsola({ level: 3, throttle: 0 }); // its defaults fall silent under NODE_ENV=test, and skip repeated lines
}

export function showError(message: string): void {
  show("error", message);
}

export function showWarning(message: string): void {
  show("warn", message);
}

function show(level: "error" | "warn", message: string): void {
  try {
    loaded ??= consola();
  } catch {
    // That no descriptor is left is what it is to say, and there is none to read consola's files by.
    return printAside(`\n ${level.toUpperCase()}  ${message}\n`);
  }
  loaded[level](message);
}

/** The sentence to show for an error that ends the program, with a hint where one is known. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof ErrnoError)) return error.message;
  const hint = error.address === undefined ? undefined : hints[error.code];
  return hint === undefined ? error.message : `${error.message}\n${hint}`;
}

const hints: Record<string, string> = {
  EADDRINUSE: "Something is there already: stop it, or choose another place (--port 0 takes any free port).",
  EACCES: "It is forbidden here: ports below 1024 need root, a socket's path needs a directory you may write to.",
  EPERM: "It is forbidden here.",
  ENOENT: "The directory for the socket does not exist: create it first.",
  ENOTDIR: "A part of the path is no directory.",
};
