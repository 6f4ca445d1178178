// The commands of the debugger: pdb's verbs, epoll's nouns.

import { writeFileSync } from "node:fs";
import type { TraceEvent } from "../../trace/events.ts";
import { compareInterest, explainReadiness, inspectFd } from "../../trace/kernel-state.ts";
import { breakpointsOf, enable, setBreakpoint } from "./breakpoints.ts";
import { describeValue } from "./evaluate.ts";
import type { Iteration } from "./iteration-history.ts";
import type { Session } from "./session.ts";
import { about, showArgument, showMask, sourceAround, table } from "./format.ts";
import { concerns } from "./stop-conditions.ts";

export interface Command {
  /** How it can be written, the shortest first. */
  names: readonly string[];
  usage: string;
  help: string;
  run(session: Session, argument: string): void | Promise<void>;
}

const all: Command[] = [
  {
    names: ["n", "next"],
    usage: "n",
    help: "Go on until epoll_wait returns.",
    run: (session) => session.go({ kind: "next" }),
  },
  {
    names: ["s", "step"],
    usage: "s",
    help: "Go on to the next event: a system call, a change of state, a warning.",
    run: (session) => session.go({ kind: "step" }),
  },
  {
    names: ["r", "return"],
    usage: "r",
    help: "Go on until the turn of this descriptor is over.",
    run: (session) => session.go({ kind: "return", fd: turnOf(session.event) }),
  },
  {
    names: ["c", "cont", "continue"],
    usage: "c",
    help: "Go on until a breakpoint.",
    run: (session) => session.go({ kind: "continue" }),
  },
  {
    names: ["unt", "until"],
    usage: "unt ITERATION",
    help: "Go on until iteration ITERATION begins.",
    run: (session, argument) => session.go({ kind: "until", iteration: whole(argument, "unt ITERATION") }),
  },
  {
    names: ["b", "break"],
    usage: "b [fd N | iteration N | state NAME | EPOLLHUP | EAGAIN | accept] [, CONDITION]",
    help: "Stop there, if CONDITION holds; alone: list the breakpoints.",
    run: (session, argument) => setBreakpoint(session, argument, false),
  },
  {
    names: ["tbreak"],
    usage: "tbreak …",
    help: "A breakpoint for one time.",
    run: (session, argument) => setBreakpoint(session, argument, true),
  },
  {
    names: ["cl", "clear"],
    usage: "cl [N …]",
    help: "Delete breakpoints; alone: all.",
    run: (session, argument) => {
      const gone = argument === "" ? [...session.breakpoints] : breakpointsOf(session, argument);
      for (const one of gone) {
        session.breakpoints.splice(session.breakpoints.indexOf(one), 1);
        session.print(`Deleted breakpoint ${one.id}`);
      }
      session.tellBreakpoints();
    },
  },
  {
    names: ["condition"],
    usage: "condition N [EXPRESSION]",
    help: "Stop at breakpoint N only if EXPRESSION is true; without one: always.",
    run: (session, argument) => {
      const [, number = "", condition = ""] = /^(\S*)\s*([^]*)$/.exec(argument) ?? [];
      const [one] = breakpointsOf(session, number);
      if (one !== undefined) one.condition = condition === "" ? undefined : condition;
      session.tellBreakpoints();
      session.print(`Breakpoint ${one?.id} ${condition === "" ? "has no condition now" : `stops if ${condition}`}`);
    },
  },
  {
    names: ["disable"],
    usage: "disable N …",
    help: "Pass breakpoints over, until they are enabled.",
    run: (session, argument) => enable(session, argument, false),
  },
  {
    names: ["enable"],
    usage: "enable N …",
    help: "Stop at breakpoints again.",
    run: (session, argument) => enable(session, argument, true),
  },
  {
    names: ["ignore"],
    usage: "ignore N COUNT",
    help: "Pass breakpoint N over COUNT times.",
    run: (session, argument) => {
      const [number = "", count = ""] = argument.split(/\s+/);
      const [one] = breakpointsOf(session, number);
      if (one === undefined) return;
      one.ignore = whole(count, "ignore N COUNT");
      session.tellBreakpoints();
      session.print(`Breakpoint ${one.id} is passed over ${one.ignore} times`);
    },
  },
  {
    names: ["commands"],
    usage: "commands [N]",
    help: "What breakpoint N (the last one) does when it stops: the lines that follow, up to end.",
    run: (session, argument) => {
      const [one] = argument === "" ? session.breakpoints.slice(-1) : breakpointsOf(session, argument);
      if (one === undefined) throw new Error("there is no breakpoint: b sets one");
      session.collect(one.id);
    },
  },
  {
    names: ["l", "list"],
    usage: "l",
    help: "The ready list of this iteration, with -> at the one whose turn it is.",
    run: (session) => {
      const { ready, entries, events } = seen(session);
      if (ready.length === 0) session.print("[]: nothing was ready");
      const event = events.at(-1);
      const turn = event === undefined || event.type === "wait" ? -1 : ready.findIndex(([fd]) => concerns(event, fd));
      for (const [i, [fd, mask]] of ready.entries()) {
        const entry = entries.find((one) => one.fd === fd);
        session.print(
          `${i === turn ? "->" : "  "} (${fd}, ${showMask(session, mask)})  ${entry === undefined ? "" : about(entry)}`,
        );
      }
    },
  },
  {
    names: ["ll", "longlist"],
    usage: "ll",
    help: "The lines of the program around the call, with -> at it.",
    run: (session) => {
      const at = seen(session).events.at(-1)?.at;
      if (at === undefined) throw new Error("this event was not made by a line of the program");
      session.print(sourceAround(at));
    },
  },
  {
    names: ["w", "where", "bt"],
    usage: "w",
    help: "Where in the iteration: what has happened in it so far.",
    run: (session) => {
      const lines = seen(session).events.flatMap((event) => session.format(event) ?? []);
      for (const [i, line] of lines.entries()) session.print(`${i === lines.length - 1 ? "->" : "  "} ${line}`);
    },
  },
  {
    names: ["a", "args"],
    usage: "a",
    help: "What the last call was given, and what it returned.",
    run: (session) => {
      const event = seen(session).events.at(-1);
      const { seq: _seq, us: _us, iteration: _lap, at: _at, ...rest } = event ?? ({} as TraceEvent);
      for (const [name, value] of Object.entries(rest))
        session.print(`${name} = ${showArgument(session, name, value)}`);
    },
  },
  {
    names: ["p"],
    usage: "p EXPRESSION",
    help: "What it is worth: events, fds, fd(5), ep, event, iteration, or any expression of JavaScript.",
    run: async (session, argument) => session.print(await valueOf(session, argument)),
  },
  {
    names: ["pp"],
    usage: "pp fds | fd N | EXPRESSION",
    help: "The same, as a table where it is one.",
    run: async (session, argument) => {
      if (argument === "fds") return session.print(table(session, seen(session).entries));
      session.print(await valueOf(session, argument));
    },
  },
  {
    names: ["i", "info"],
    usage: "i FD",
    help: "What is known of a descriptor.",
    run: (session, argument) => {
      const fd = whole(argument, "i FD");
      const entry = seen(session).entries.find((one) => one.fd === fd);
      if (entry === undefined) throw new Error(`descriptor ${fd} is none of the loop's: pp fds lists them`);
      session.print(`${fd}  ${about(entry)}`);
    },
  },
  {
    names: ["display"],
    usage: "display [EXPRESSION]",
    help: "Show what it is worth at each stop where that has changed; alone: list them.",
    run: async (session, argument) => {
      if (argument === "") {
        for (const [expression, value] of session.displays) session.print(`${expression}: ${value}`);
        return;
      }
      const value = await valueOf(session, argument);
      session.displays.set(argument, value);
      session.print(`display ${argument}: ${value}`);
    },
  },
  {
    names: ["undisplay"],
    usage: "undisplay [EXPRESSION]",
    help: "Show it no more; alone: none.",
    run: (session, argument) => {
      if (argument === "") session.displays.clear();
      else if (!session.displays.delete(argument)) throw new Error(`${argument} is not displayed`);
    },
  },
  {
    names: ["why"],
    usage: "why FD",
    help: "Why epoll reports a descriptor, or does not: from the kernel's own figures, now.",
    run: (session, argument) => {
      live(session);
      const fd = argument === "" ? turnOf(session.event) : whole(argument, "why FD");
      session.print(explainReadiness(inspectFd(fd), session.history.table.entry(fd)?.mask));
    },
  },
  {
    names: ["diff"],
    usage: "diff",
    help: "Our interest list against the kernel's.",
    run: (session) => {
      live(session);
      const { table: ours } = session.history;
      const found = compareInterest(ours.masks, ours.epfd);
      for (const { message } of found) session.print(message);
      if (found.length === 0)
        session.print(`no difference: ${ours.masks.size} descriptors are watched, and the kernel says so, too`);
    },
  },
  {
    names: ["back"],
    usage: "back [N]",
    help: "Look at the iteration before; nothing is undone.",
    run: (session, argument) => move(session, -(argument === "" ? 1 : whole(argument, "back N"))),
  },
  {
    names: ["fwd", "forward"],
    usage: "fwd [N]",
    help: "Look at the iteration after.",
    run: (session, argument) => move(session, argument === "" ? 1 : whole(argument, "fwd N")),
  },
  {
    names: ["connect"],
    usage: "connect",
    help: "Be a client: c1, c2, …",
    run: (session) => {
      const [address] = live(session).addresses;
      if (address === undefined) throw new Error("the program does not listen, or not yet");
      session.print(session.clients.connect(address));
    },
  },
  {
    names: ["send"],
    usage: 'send [c1 | FD] ["text"]',
    help: "Have a client send: its name, or the server's descriptor for it; without a text: a request.",
    run: (session, argument) => {
      const { who, rest } = client(session, argument);
      session.print(session.clients.send(who, rest === "" ? undefined : quoted(rest)));
    },
  },
  {
    names: ["recv"],
    usage: "recv [c1 | FD]",
    help: "What a client has received.",
    run: (session, argument) => session.print(session.clients.receive(client(session, argument).who)),
  },
  {
    names: ["close"],
    usage: "close [c1 | FD]",
    help: "Have a client close.",
    run: (session, argument) => session.print(session.clients.close(client(session, argument).who)),
  },
  {
    names: ["save"],
    usage: "save FILE",
    help: "Save the trace so far, for epoll-hello replay.",
    run: (session, argument) => {
      if (argument === "") throw new Error("save needs the name of a file");
      if (session.history.isCut)
        throw new Error("the beginning is no longer there: start with --trace-file FILE for a long one");
      const { events } = session.history;
      writeFileSync(argument, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
      session.print(`${events.length} events are in ${argument}`);
    },
  },
  {
    names: ["h", "help", "?"],
    usage: "h [COMMAND]",
    help: "This, or what a command does.",
    run: (session, argument) => {
      if (argument === "") {
        const width = Math.max(...all.map(({ names }) => names.join(", ").length));
        for (const { names, help } of all) session.print(`${names.join(", ").padEnd(width)}  ${help}`);
        session.print("A blank line repeats the last one; ;; separates; the end of input quits.");
        return;
      }
      const command = findCommand(argument);
      if (command === undefined) throw new Error(`no help for ${JSON.stringify(argument)}`);
      session.print(`${command.usage}\n        ${command.help}`);
    },
  },
  {
    names: ["q", "quit", "exit"],
    usage: "q",
    help: "End the server and the session.",
    run: (session) => {
      session.isOver = true;
    },
  },
];

export function findCommand(word: string): Command | undefined {
  return word === "!" ? findCommand("p") : all.find(({ names }) => names.includes(word));
}

// ---- where ----

/** What is looked at: now, or an iteration of the past. */
function seen(session: Session): Iteration {
  const iteration = session.viewed ?? session.history.last;
  if (iteration === undefined) throw new Error("nothing has happened yet");
  return iteration;
}

function live(session: Session): NonNullable<Session["source"]["place"]> {
  const { place } = session.source;
  if (place === undefined)
    throw new Error("this is a trace that was saved: there is no kernel to ask, and nobody to talk to");
  if (session.hasEnded) throw new Error("the server has ended");
  return place;
}

function turnOf(event: TraceEvent | undefined): number {
  if (event === undefined) throw new Error("nothing has happened yet");
  if (event.type === "wait") {
    const [[fd] = [undefined]] = event.events;
    if (fd === undefined) throw new Error("nothing is ready: it is nobody's turn");
    return fd;
  }
  if ("fd" in event && event.fd !== null) return event.fd;
  throw new Error("it is nobody's turn");
}

function move(session: Session, by: number): void {
  const { iterations } = session.history;
  const now = iterations.length - 1;
  const at = session.viewed === undefined ? now : iterations.indexOf(session.viewed);
  const to = Math.max(0, Math.min(now, at + by));
  if (to === at) throw new Error(by < 0 ? "this is the oldest iteration" : "this is the newest iteration");
  session.viewed = to === now ? undefined : iterations[to];
  const iteration = iterations[to] as Iteration;
  session.print(`viewing iteration ${iteration.iteration} of ${iterations[now]?.iteration}`);
  for (const event of iteration.events) {
    const line = session.format(event);
    if (line !== undefined) session.print(line);
  }
}

async function valueOf(session: Session, expression: string): Promise<string> {
  if (expression === "") throw new Error("p needs an expression");
  const asked = expression.replace(/^fd\s+(\d+)$/, "fd($1)");
  if (session.viewed !== undefined) return describeValue(asked, session.history.viewOf(session.viewed));
  return await session.source.evaluate(asked);
}

// ---- arguments ----

function whole(text: string, usage: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${usage}: a number is missing`);
  return Number(text);
}

/** Who is meant, by name or by the server's descriptor, and what follows. */
function client(session: Session, argument: string): { who: string | undefined; rest: string } {
  live(session);
  const [, word, rest = ""] = /^(c\d+|\d+)?\s*([^]*)$/.exec(argument) ?? [];
  if (word === undefined || word.startsWith("c")) return { who: word, rest };
  const address = session.history.table.entry(Number(word))?.address;
  const who = address === undefined ? undefined : session.clients.nameOf(address);
  if (who === undefined) throw new Error(`descriptor ${word} is no connection with a client of this prompt`);
  return { who, rest };
}

function quoted(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "string") return value;
  } catch {
    // said below
  }
  throw new Error(`a text stands in double quotes, as "GET / HTTP/1.1\\r\\n\\r\\n", and not ${text}`);
}
