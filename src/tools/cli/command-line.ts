// What a command line can ask for.

import type { EpollServerOptions } from "../../index.ts";
import type { Balance } from "../../workers/listen-sockets.ts";

/** The command line is wrong: exit 2. The message says what to write instead. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** The file of a module that exports what is to be served; undefined: the document's reply is. */
export type App = string | undefined;

/** The file of a program that serves nothing by default but does as it likes, and its arguments. */
export type Program = readonly [file: string, ...rest: string[]];

/** Without a word, it serves. */
export type Command = "serve" | "why" | "replay" | "lesson";

/** Whether it does something else. */
export function isSubcommand(word: string | undefined): word is Exclude<Command, "serve"> {
  return word === "why" || word === "replay" || word === "lesson";
}

/** What the command line asks for. */
export type CommandLine =
  | { kind: "help"; of: Command }
  | { kind: "version" }
  | ServeRequest
  | { kind: "program"; program: Program; trace: TraceRequest }
  | { kind: "why"; options: WhyOptions }
  | {
      kind: "step";
      options: EpollServerOptions;
      app: App;
      program: Program | undefined;
      isNumeric: boolean;
      hasBytes: boolean;
      page: number | undefined;
    }
  | {
      kind: "inspect";
      options: EpollServerOptions;
      app: App;
      program: Program | undefined;
      hasBytes: boolean;
      page: number;
    }
  | { kind: "replay"; file: string; steps: boolean; page: number | undefined; trace: TraceRequest }
  | { kind: "lesson"; id: string | undefined; isJson: boolean };

/** Serve, and how to speak of it. */
export interface ServeRequest {
  kind: "serve";
  options: EpollServerOptions;
  app: App;
  isQuiet: boolean;
  isService: boolean;
  team: WorkerOptions | undefined;
  trace: TraceRequest | undefined;
}

/** What is to be told of the loop, and where. */
export interface TraceRequest {
  /** On standard output; undefined: not there. */
  format: "text" | "json" | undefined;
  file: string | undefined;
  isNumeric: boolean;
  hasBytes: boolean;
}

/** What `epoll-hello why` is asked for. */
export interface WhyOptions {
  /** How many descriptors at most. */
  max: number;
  /** Where the picture goes. */
  svg: string | undefined;
  isJson: boolean;
}

/** Several processes that serve in one place. */
export interface WorkerOptions {
  workers: number;
  balance: Balance;
}
