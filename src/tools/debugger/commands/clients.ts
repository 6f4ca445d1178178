// Commands that control test clients, which connect to the debugged server from the prompt.

import type { Command, DebuggerContext } from "../context.ts";
import { liveLocation } from "./arguments.ts";

export const clientCommands: readonly Command[] = [
  {
    names: ["connect"],
    usage: "connect",
    help: "Connect a client: c1, c2, …",
    isRepeatable: false,
    worksWhileRunning: true,
    run: (context) => {
      const [address] = liveLocation(context).addresses;
      if (address === undefined) throw new Error("the program is not listening yet");
      context.print(context.clients.connect(address));
    },
  },
  {
    names: ["send"],
    usage: 'send [CLIENT] ["TEXT"]',
    help: "Send from a client, given by name or by the server's fd (default: the newest); without TEXT, a GET request.",
    isRepeatable: false,
    worksWhileRunning: true,
    run: (context, argument) => {
      const { client, rest } = parseClient(context, argument);
      context.print(context.clients.send(client, rest === "" ? undefined : parseQuoted(rest)));
    },
  },
  {
    names: ["recv"],
    usage: "recv [CLIENT]",
    help: "Print what a client has received.",
    worksWhileRunning: true,
    run: (context, argument) => context.print(context.clients.receive(parseClient(context, argument).client)),
  },
  {
    names: ["close"],
    usage: "close [CLIENT]",
    help: "Close a client's connection.",
    isRepeatable: false,
    worksWhileRunning: true,
    run: (context, argument) => context.print(context.clients.close(parseClient(context, argument).client)),
  },
];

/** A client is given by its name or by the fd of its connection in the server. */
function parseClient(context: DebuggerContext, argument: string): { client: string | undefined; rest: string } {
  liveLocation(context);
  const [, word, rest = ""] = /^(c\d+|\d+)?\s*([^]*)$/.exec(argument) ?? [];
  if (word === undefined || word.startsWith("c")) return { client: word, rest };
  const address = context.history.table.entry(Number(word), context.event?.pid)?.address;
  const client = address === undefined ? undefined : context.clients.nameOf(address);
  if (client === undefined) throw new Error(`fd ${word} is not the connection of a client of this prompt`);
  return { client, rest };
}

function parseQuoted(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "string") return value;
  } catch {
    // reported below
  }
  throw new Error(`the text must be in double quotes, such as "GET / HTTP/1.1\\r\\n\\r\\n"; received ${text}`);
}
