// The flags, as citty knows them, and the text of --help.

import { stripVTControlCharacters } from "node:util";
import { type CommandMeta, defineCommand, renderUsage } from "citty";
import packageJson from "../../../package.json" with { type: "json" };
import type { Command } from "./command-line.ts";

export const version: string = packageJson.version;
export const DEFAULT_PORT = 8800;

export const flags = {
  app: {
    type: "positional",
    required: false,
    description:
      "a module: serve its default export, a fetch handler or an object with one; or a program to trace or step",
  },
  port: { type: "string", valueHint: "PORT", description: "TCP port to listen on (8800); 0: any free one" },
  host: {
    type: "string",
    valueHint: "HOST",
    description: "name or address to listen on (localhost: 127.0.0.1 and ::1)",
  },
  unix: { type: "string", valueHint: "PATH", description: "listen on a unix socket instead; @NAME: an abstract one" },
  fd: { type: "string", valueHint: "N", description: "serve on a socket that listens already; several: 3,4" },
  systemd: { type: "boolean", description: "serve on the sockets that systemd passes, and tell it how it goes" },
  workers: { type: "string", valueHint: "N", description: "serve with N processes; auto: one for each core" },
  balance: {
    type: "string",
    valueHint: "HOW",
    description: "how connections come to workers: reuseport, a queue for each, or shared, one for all",
  },
  classic: { type: "boolean", description: "the document's loop to the letter: no keep-alive, one call per event" },
  backlog: { type: "string", valueHint: "N", description: "connections that may wait to be accepted (4096)" },
  trace: {
    type: "string",
    valueHint: "text|json",
    description: "print what the loop does, a line for each system call (--trace alone: text)",
  },
  step: {
    type: "boolean",
    description: "stop behind each step of the loop (--classic unless --no-classic), as pdb does",
  },
  inspect: {
    type: "string",
    valueHint: "PORT",
    description: "show the loop in a page on 127.0.0.1 while it runs (--inspect alone: any free port)",
  },
  numeric: {
    type: "boolean",
    description: "in what is printed of the loop: masks as numbers, as the document has them",
  },
  "show-bytes": { type: "boolean", description: "in what is told of the loop: what is received and sent, too" },
  "trace-file": { type: "string", valueHint: "FILE", description: "save what the loop does, for epoll-hello replay" },
  quiet: { type: "boolean", description: "print warnings and errors only" },
  help: { type: "boolean", alias: "h", description: "print this and exit" },
  version: { type: "boolean", alias: "v", description: "print the version and exit" },
} as const;

export const whyFlags = {
  max: { type: "string", valueHint: "N", description: "how many descriptors at most (20000)" },
  svg: { type: "string", valueHint: "FILE", description: "write the chart as a picture, too" },
  json: { type: "boolean", description: "print the figures as JSON and nothing else" },
  help: { type: "boolean", alias: "h", description: "print this and exit" },
} as const;

export const replayFlags = {
  file: { type: "positional", required: false, valueHint: "FILE", description: "a trace that --trace-file has saved" },
  json: { type: "boolean", description: "print the events as JSON, a line each" },
  step: { type: "boolean", description: "step through it, as --step does through a server" },
  inspect: {
    type: "string",
    valueHint: "PORT",
    description: "show it in a page on 127.0.0.1 (--inspect alone: any free port)",
  },
  numeric: {
    type: "boolean",
    description: "in what is printed of the loop: masks as numbers, as the document has them",
  },
  help: { type: "boolean", alias: "h", description: "print this and exit" },
} as const;

export const lessonFlags = {
  name: { type: "positional", required: false, valueHint: "NAME", description: "which one; without: list them" },
  json: { type: "boolean", description: "print what happened as JSON, a line" },
  help: { type: "boolean", alias: "h", description: "print this and exit" },
} as const;

const meta: CommandMeta = { name: "epoll-hello", version, description: "A web server on one Linux epoll loop" };

const why = defineCommand({
  meta: { name: "why", description: "Time select, poll and epoll_wait here, with one active descriptor among many" },
  args: whyFlags,
});

const replay = defineCommand({
  meta: { name: "replay", description: "Print a trace that --trace-file has saved" },
  args: replayFlags,
});

const lesson = defineCommand({
  meta: { name: "lesson", description: "Run a lesson on real sockets: the kernel answers" },
  args: lessonFlags,
});

/** For the text of `--help` only: citty, told to run it, would run the server and the subcommand both. */
const command = defineCommand({
  meta,
  args: flags,
  subCommands: { why, replay, lesson },
});

/** The text of `--help`, in colour only where colour is welcome. */
export async function usage(of: Command): Promise<string> {
  const texts = {
    serve: () => renderUsage(command),
    why: () => renderUsage(why, { meta }),
    replay: () => renderUsage(replay, { meta }),
    lesson: () => renderUsage(lesson, { meta }),
  };
  const text = await texts[of]();
  const inOrder = text.replace("[OPTIONS] [APP] why|replay|lesson", "[APP|why|replay|lesson] [OPTIONS]"); // citty has it that a subcommand must be, and comes last
  return hasColour(process.stdout) ? inOrder : stripVTControlCharacters(inOrder);
}

export function hasColour(stream: { isTTY: boolean }): boolean {
  return stream.isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}
