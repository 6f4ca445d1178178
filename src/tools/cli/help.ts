// The text of --help, for the command and its subcommands.

import { join } from "node:path";
import { formatTable } from "../table.ts";
import { hasColor } from "./color.ts";
import type { Command } from "./command-line.ts";
import { type Flags, lessonFlags, replayFlags, serveFlags, VERSION, whyFlags } from "./flags.ts";
import { wrap } from "./wrap.ts";

interface Help {
  usage: readonly string[];
  description: string;
  sections: readonly (readonly [title: string, rows: readonly (readonly [string, string])[]])[];
}

const INDENT = "  ";
const WIDTH = 100;

const GROUPS = [
  ["Address", ["port", "host", "unix", "fd", "systemd", "backlog"]],
  ["Server", ["workers", "balance", "classic", "quiet"]],
  ["Tracing", ["trace", "trace-file", "step", "inspect", "show-bytes", "numeric"]],
  ["Other", ["help", "version"]],
] as const satisfies readonly (readonly [string, readonly (keyof typeof serveFlags)[]])[];

const texts: Record<Command, Help> = {
  serve: {
    usage: [
      "epoll-hello [options]",
      "epoll-hello APP [options]",
      "epoll-hello PROGRAM --trace|--step|--inspect|--trace-file=FILE [-- ARGUMENTS]",
      "epoll-hello why|replay|lesson [options]",
    ],
    description: `epoll-hello ${VERSION}: a web server on one Linux epoll loop`,
    sections: [
      [
        "Arguments",
        [
          ["APP", "a module whose default export is served: a fetch handler, or an object with one"],
          ["PROGRAM", "a module without a default export, to trace or to step through"],
        ],
      ],
      [
        "Commands",
        [
          ["why", "measure select, poll and epoll_wait on this machine"],
          ["replay", "show a trace saved by --trace-file"],
          ["lesson", "run a short lesson on real sockets"],
        ],
      ],
      ...GROUPS.map(([title, names]) => [title, flagRows(serveFlags, names)] as const),
      [
        "Examples",
        [
          ["epoll-hello", "serve the default response on http://localhost:8800"],
          ["epoll-hello app.ts --port 3000", "serve an app"],
          ["epoll-hello app.ts --workers auto", "one process per core"],
          ["epoll-hello --trace", "print every system call of the loop"],
          ["epoll-hello --step", "step through the loop in a debugger"],
          ["epoll-hello client.ts --inspect -- 8801", "watch a program of your own in the browser"],
        ],
      ],
      [
        "Environment variables",
        [
          ["LISTEN_FDS, LISTEN_PID", "the sockets passed by systemd, used with --systemd"],
          ["NOTIFY_SOCKET", "where --systemd reports readiness and status"],
          ["WATCHDOG_USEC", "the watchdog interval, used with --systemd"],
          ["NO_COLOR, FORCE_COLOR", "turn color off or on"],
        ],
      ],
      [
        "Signals",
        [
          ["SIGTERM, SIGINT", "stop after pending requests; a second one stops immediately"],
          ["SIGHUP", "with --workers: rolling restart"],
          ["SIGUSR1", "with --workers: print the totals of each worker"],
        ],
      ],
      [
        "Exit codes",
        [
          ["0", "success, or stopped by SIGTERM"],
          ["1", "it cannot listen, a file cannot be read or written, or the app cannot be loaded"],
          ["2", "the command line is wrong"],
          ["130", "stopped by SIGINT (Ctrl-C)"],
        ],
      ],
    ],
  },
  why: {
    usage: ["epoll-hello why [options]"],
    description:
      "Measures one call of select, poll and epoll_wait, with one active file descriptor among many idle ones.",
    sections: [["Options", flagRows(whyFlags)]],
  },
  replay: {
    usage: ["epoll-hello replay FILE [options]"],
    description: "Shows a trace saved by --trace-file or --trace=json.",
    sections: [
      ["Arguments", [["FILE", "the trace; -: standard input"]]],
      ["Options", flagRows(replayFlags)],
    ],
  },
  lesson: {
    usage: ["epoll-hello lesson [NAME] [options]"],
    description: "Runs a lesson on real sockets, and shows the system calls and what the kernel returned.",
    sections: [
      ["Arguments", [["NAME", "the lesson to run; without it, the lessons are listed"]]],
      ["Options", flagRows(lessonFlags)],
    ],
  },
};

export function helpText(command: Command): string {
  const { usage, description, sections } = texts[command];
  const bold = (text: string): string => (hasColor(1) ? `\x1b[1m${text}\x1b[22m` : text);
  const lines = [
    ...wrap(description, WIDTH),
    "",
    ...usage.map((line, i) => `${i === 0 ? bold("Usage:") : "      "} ${line}`),
    ...sections.flatMap(([title, rows]) => ["", bold(`${title}:`), ...columns(rows)]),
    "",
    `${bold("Documentation:")} ${documentation()}`,
  ];
  return lines.join("\n");
}

function flagRows(flags: Flags, names: readonly string[] = Object.keys(flags)): (readonly [string, string])[] {
  return names.flatMap((name) => {
    const flag = flags[name];
    if (flag === undefined) return [];
    if (flag.type === "boolean") {
      return [[`${flag.short === undefined ? "" : `-${flag.short}, `}--${name}`, flag.description] as const];
    }
    const value = flag.bareValue === undefined ? ` ${flag.placeholder}` : `[=${flag.placeholder}]`;
    return [[`--${name}${value}`, flag.description] as const];
  });
}

/** The second column is wrapped, and starts at the same place in all lines. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = WIDTH - Math.max(...rows.map(([left]) => left.length)) - 2 * INDENT.length;
  const cells = rows.flatMap(([left, right]) => wrap(right, width).map((line, i) => [i === 0 ? left : "", line]));
  return formatTable(cells).map((line) => `${INDENT}${line}`);
}

function documentation(): string {
  const root = join(import.meta.dir, "../../..");
  return root.startsWith("/$bunfs") ? "docs/ in the package epoll-hello" : join(root, "docs");
}
