// Runs a case on one server, with its bytes split in different ways. The responses must be the expected ones each time.

import { expect } from "bun:test";
import type { EpollServerOptions } from "../../../src/index.ts";
import { type Case, head, type Kind, type Outcome, shown } from "./case.ts";
import { checkResponse } from "./check-response.ts";
import type { ParsedResponse } from "./parse-response.ts";
import { serve, type Served } from "./servers.ts";
import { type Split, splitsFor } from "./splits.ts";
import { ConformanceClient } from "./conformance-client.ts";

const PROBE = head("GET /probe HTTP/1.1", "Host: probe");

/** @throws {Error} that says how the bytes were split, and what went wrong */
export async function play(
  given: Case,
  kind: Kind,
  options?: EpollServerOptions,
  maxQuietIterations?: number,
): Promise<void> {
  const one: Case = { ...given, ...given.on?.[kind] };
  const served = serve(kind, { ...options, ...one.options });
  using _ = served.harness;
  // A connection that has to close must not handle another request, whether it arrives with the last bytes or after them.
  const isProbed = one.after === "closes" && one.ends !== true;
  let first: string | undefined;
  for (const split of splitsFor(one.name)) {
    for (const appended of isProbed ? ["", PROBE] : [""]) {
      try {
        const responses = await tryOutcomes(one, (outcome) =>
          playOnce({ ...one, ...outcome }, kind, served, split, appended, maxQuietIterations),
        );
        first ??= responses;
        if (one.allowsContinue !== true) expect(responses, "the same as in one piece").toBe(first);
      } catch (error) {
        const what = Error.isError(error) ? error.message : String(error);
        const how = `${split.name}${appended && ", with another request appended"}`;
        throw new Error(`${kind}, ${how}: ${what}\nsent: ${shown([one.send].flat().join("")).slice(0, 500)}`, {
          cause: error,
        });
      }
    }
  }
}

/** Tries the expected outcome, and if that fails, the alternative. */
async function tryOutcomes<T>(one: Case, attempt: (outcome: Outcome) => Promise<T>): Promise<T> {
  const { responses, after, or } = one;
  try {
    return await attempt({ responses, after });
  } catch (error) {
    if (or === undefined) throw error;
    return attempt(or);
  }
}

/** Runs the case on one connection; returns all responses as text. */
async function playOnce(
  one: Case,
  kind: Kind,
  served: Served,
  split: Split,
  appended: string,
  maxQuietIterations?: number,
): Promise<string> {
  const { seen, harness } = served;
  seen.length = 0;
  using client = new ConformanceClient(served, kind, one.allowsContinue === true, maxQuietIterations);
  const responses: ParsedResponse[] = [];
  const parts = typeof one.send === "string" ? [one.send] : [...one.send];
  parts.push(`${parts.pop()}${appended}`);
  for (const [i, part] of parts.entries()) {
    await client.send(split.cut(part));
    if (i === parts.length - 1) break;
    const count = one.responsesAfter?.[i] ?? 0;
    responses.push(...(await client.responses(one.responses.slice(responses.length, count))));
    if (one.after === "stays") await client.expectQuiet();
  }
  if (one.ends === true) client.end();
  responses.push(...(await client.responses(one.responses.slice(responses.length))));
  if (one.after === "closes") {
    await client.waitForClose();
    if (one.closesLate !== true) expect(seen, "handled after the end").not.toContain("/probe");
  } else {
    await client.expectQuiet();
  }

  const date = new Date(harness.clock.wall()).toUTCString();
  for (const [i, actual] of responses.entries()) {
    const isLast = i === responses.length - 1;
    const says = !isLast || one.after === "stays" ? "stays" : one.ends === true ? "either" : "closes";
    checkResponse(actual, one.responses[i] ?? {}, { kind, response: one.options?.response, date, says });
  }
  if (one.closesLate !== true) expect(seen, "smuggled").not.toContain("/smuggled");

  if (one.after === "stays") {
    await client.send([PROBE]);
    const expected = { target: "/probe", url: "http://probe/probe", method: "GET", body: "" };
    const [response] = await client.responses([expected]);
    checkResponse(response as ParsedResponse, expected, { kind, response: one.options?.response, date, says: "stays" });
    await client.expectQuiet();
  }
  await client.close();
  return responses.map(({ status, fields, body }) => `${status} ${JSON.stringify([...fields])} ${body}`).join("\n");
}
