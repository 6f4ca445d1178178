// Plays a case on one server, cut in all ways; the replies have to be those that are due, and the same each time.

import { expect } from "bun:test";
import type { EpollServerOptions } from "../../../src/index.ts";
import { type Case, head, type Kind, type Outcome, shown } from "./case.ts";
import { judge } from "./judge.ts";
import type { ReplyRead } from "./replies.ts";
import { serve, type Served } from "./servers.ts";
import { type Split, splitsFor } from "./splits.ts";
import { Talk } from "./talk.ts";

const PROBE = head("GET /probe HTTP/1.1", "Host: probe");

/** @throws {Error} that says in which way of cutting it went wrong, and how */
export async function play(given: Case, kind: Kind, options?: EpollServerOptions, patience?: number): Promise<void> {
  const one: Case = { ...given, ...given.on?.[kind] };
  const served = serve(kind, { ...options, ...one.options });
  using _ = served.stage;
  // What has to close is shown to take no further request, neither with the last bytes nor behind them.
  const isProbed = one.after === "closes" && one.ends !== true;
  let first: string | undefined;
  for (const split of splitsFor(one.name)) {
    for (const appended of isProbed ? ["", PROBE] : [""]) {
      try {
        const replies = await either(one, (outcome) =>
          once({ ...one, ...outcome }, kind, served, split, appended, patience),
        );
        first ??= replies;
        if (one.mayContinue !== true) expect(replies, "the same as in one piece").toBe(first);
      } catch (error) {
        const what = Error.isError(error) ? error.message : String(error);
        const how = `${split.name}${appended && ", and a request more"}`;
        throw new Error(`${kind}, ${how}: ${what}\nsent: ${shown([one.send].flat().join("")).slice(0, 500)}`, {
          cause: error,
        });
      }
    }
  }
}

/** The outcome that is due, or the other one. */
async function either<T>(one: Case, attempt: (outcome: Outcome) => Promise<T>): Promise<T> {
  const { replies, after, or } = one;
  try {
    return await attempt({ replies, after });
  } catch (error) {
    if (or === undefined) throw error;
    return attempt(or);
  }
}

/** One conversation; all its replies as text. */
async function once(
  one: Case,
  kind: Kind,
  served: Served,
  split: Split,
  appended: string,
  patience?: number,
): Promise<string> {
  const { seen, stage } = served;
  seen.length = 0;
  using talk = new Talk(served, kind, one.mayContinue === true, patience);
  const replies: ReplyRead[] = [];
  const parts = typeof one.send === "string" ? [one.send] : [...one.send];
  parts.push(`${parts.pop()}${appended}`);
  for (const [i, part] of parts.entries()) {
    await talk.send(split.cut(part));
    if (i === parts.length - 1) break;
    const heard = one.heard?.[i] ?? 0;
    replies.push(...(await talk.replies(one.replies.slice(replies.length, heard))));
    if (one.after === "stays") await talk.isQuiet();
  }
  if (one.ends === true) talk.end();
  replies.push(...(await talk.replies(one.replies.slice(replies.length))));
  if (one.after === "closes") {
    await talk.isClosed();
    if (one.isLate !== true) expect(seen, "handled after the end").not.toContain("/probe");
  } else {
    await talk.isQuiet();
  }

  const date = new Date(stage.clock.wall()).toUTCString();
  for (const [i, reply] of replies.entries()) {
    const isLast = i === replies.length - 1;
    const says = !isLast || one.after === "stays" ? "stays" : one.ends === true ? "either" : "closes";
    judge(reply, one.replies[i] ?? {}, { kind, response: one.options?.response, date, says });
  }
  if (one.isLate !== true) expect(seen, "smuggled").not.toContain("/smuggled");

  if (one.after === "stays") {
    await talk.send([PROBE]);
    const due = { target: "/probe", url: "http://probe/probe", method: "GET", body: "" };
    const [reply] = await talk.replies([due]);
    judge(reply as ReplyRead, due, { kind, response: one.options?.response, date, says: "stays" });
    await talk.isQuiet();
  }
  await talk.close();
  return replies.map(({ status, fields, body }) => `${status} ${JSON.stringify([...fields])} ${body}`).join("\n");
}
