// The text of --help: citty's rendering of the command definitions, followed by sections that citty does not have.

import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { type CommandDef, defineCommand, renderUsage } from "citty";
import { packageRoot } from "../../kernel/package-root.ts";
import { formatTable } from "../table.ts";
import { hasColor } from "./color.ts";
import { type Command, type Subcommand, SUBCOMMANDS } from "./command-line.ts";
import { addonsFlags, type Flags, lessonFlags, replayFlags, serveFlags, VERSION, whyFlags } from "./flags.ts";

type Section = readonly [title: string, rows: readonly (readonly [string, string])[]];

const SECTIONS: readonly Section[] = [
  [
    "EXAMPLES",
    [
      ["epoll-hello", "serve the default response on http://localhost:8800"],
      ["epoll-hello app.ts --port 3000", "serve an app"],
      ["epoll-hello app.ts --workers auto", "one process per core"],
      ["epoll-hello --trace", "print every system call of the loop"],
      ["epoll-hello --step", "step through the loop in a debugger"],
      ["epoll-hello client.ts --inspect -- 8801", "watch your own program in a browser"],
      ["epoll-hello --step -- python3 server.py", "step through the loop of any program"],
      ["epoll-hello --inspect --pid 4711", "watch a running process in a browser"],
    ],
  ],
  [
    "ENVIRONMENT VARIABLES",
    [
      ["LISTEN_FDS, LISTEN_PID", "the sockets passed by systemd, used with --systemd"],
      ["NOTIFY_SOCKET", "where --systemd reports readiness and status"],
      ["WATCHDOG_USEC", "the watchdog interval, used with --systemd"],
      ["EPOLL_HELLO_LIBUV", "the file of libuv for native addons; off: none"],
      ["NO_COLOR, FORCE_COLOR", "turn color off or on"],
    ],
  ],
  [
    "SIGNALS",
    [
      ["SIGTERM, SIGINT, SIGQUIT", "stop after pending requests; a second one stops immediately"],
      ["SIGHUP", "the same; with --workers: rolling restart"],
      ["SIGUSR1", "print the totals; with --workers: those of each worker"],
    ],
  ],
  [
    "EXIT CODES",
    [
      ["0", "success, or stopped by SIGTERM"],
      ["1", "cannot listen, cannot read or write a file, or cannot load the app;"],
      ["", "no worker could start; a lesson's check failed; an addon doesn't run;"],
      ["", "a program threw an error; or output was lost, because the disk is full"],
      ["2", "the command line is wrong"],
      ["127", "Bun is not installed, or not in PATH"],
      ["129", "stopped by SIGHUP, or the terminal was closed"],
      ["130", "stopped by SIGINT (Ctrl-C)"],
      ["131", "stopped by SIGQUIT (Ctrl-\\)"],
      ["other", "the exit code of a program or command; 128 + N if signal N ended it"],
    ],
  ],
];

const subCommands: Readonly<Record<Subcommand, CommandDef<Flags>>> = {
  why: defineCommand<Flags>({
    meta: { name: "why", description: "measure select, poll and epoll_wait on this machine" },
    args: whyFlags,
  }),
  replay: defineCommand<Flags>({
    meta: { name: "replay", description: "show a trace saved by --trace-file or --trace=json" },
    // citty rejects a missing file even if --help is given, so only the help says that it is required.
    args: { ...replayFlags, file: { ...replayFlags.file, required: true } },
  }),
  lesson: defineCommand<Flags>({
    meta: { name: "lesson", description: "run a short lesson on real sockets" },
    args: lessonFlags,
  }),
  addons: defineCommand<Flags>({
    meta: { name: "addons", description: "list a project's native addons, and whether they run on Bun" },
    args: addonsFlags,
  }),
};

/** Only rendered. main.ts runs the commands: citty's runCommand() takes the word in `epoll-hello app.ts` for an unknown subcommand. */
const commands: Readonly<Record<Command, CommandDef<Flags>>> = {
  serve: defineCommand<Flags>({
    meta: { name: "epoll-hello", version: VERSION, description: "a web server on one Linux epoll loop" },
    args: serveFlags,
    subCommands,
  }),
  ...subCommands,
};

export async function helpText(command: Command): Promise<string> {
  const isServe = command === "serve";
  const rendered = await renderUsage(commands[command], isServe ? undefined : commands.serve);
  const usage = alignLeft(stripVTControlCharacters(rendered).replace(/^./, (letter) => letter.toUpperCase()));
  const parts = isServe ? [splitUsage(usage), ...SECTIONS.map(formatSection)] : [usage];
  const text = [...parts, `DOCUMENTATION ${documentationPath()}`].map((part) => part.trim()).join("\n\n");
  return hasColor(1) ? colorize(text) : text;
}

/** Splits citty's `[OPTIONS] [APP] why|replay|lesson` into one line for each way to use the command. */
function splitUsage(usage: string): string {
  const names = SUBCOMMANDS.join("|");
  const lines = [
    "",
    "epoll-hello PROGRAM --trace|--trace-file=FILE|--summary|--step|--inspect [-- ARGUMENTS]",
    "epoll-hello --trace|--trace-file=FILE|--summary|--step|--inspect -- COMMAND [ARGUMENTS]",
    "epoll-hello --trace|--trace-file=FILE|--summary|--step|--inspect --pid PID",
    `epoll-hello ${names} [OPTIONS]`,
  ];
  return usage.replace(` ${names}\n`, `${lines.join("\n      ")}\n`);
}

function formatSection([title, rows]: Section): string {
  return [title, "", ...formatTable(rows).map((line) => `  ${line}`)].join("\n");
}

/** Aligns the first columns of citty's sections to the left, as in the other sections, and narrows the gap after them. */
function alignLeft(usage: string): string {
  return usage.replace(/^ {2}( *)(\S+(?: \S+)*) {4}/gm, "  $2$1  ").replace(/ +$/gm, "");
}

/** Colors headings and first columns. citty's own colors have been removed, because it decides about color differently. */
function colorize(text: string): string {
  return text
    .replace(/^ {2}(\S+(?: \S+)*)(?= {2})/gm, `  ${paint("$1", 36, 39)}`)
    .replace(/^[A-Z]{2}[A-Z ]*(?=$| )/gm, paint("$&", 1, 22));
}

function paint(text: string, on: number, off: number): string {
  return `\x1b[${on}m${text}\x1b[${off}m`;
}

function documentationPath(): string {
  return packageRoot.startsWith("/$bunfs") ? "docs/ in the package epoll-hello" : join(packageRoot, "docs");
}
