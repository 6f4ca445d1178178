// Checks that a server responds correctly, so that the benchmark doesn't measure errors.

import { Client } from "../../test/support/client.ts";
import { bodyOf, handlerOf, type Kind } from "../servers/handler.ts";
import type { Contender } from "./contender.ts";
import type { Load } from "./load.ts";
import { traffic, UNIQUE } from "./traffic.ts";

/** How many of the realistic requests are sent. */
const SAMPLE = 300;

/**
 * Sends requests of the load, and compares the responses with the static body, or with what the handler returns to Bun's own `Request`.
 *
 * @throws {Error} with the request and the first wrong response
 */
export async function checkAnswers(server: Contender, kind: Kind, load: Load): Promise<void> {
  if (load.isHttp10) return; // ab compares the lengths of the responses
  if (load.traffic === undefined) {
    const method = load.uploadBytes === undefined ? "GET" : "POST";
    const init: RequestInit = { method, ...(method === "POST" ? { body: "x".repeat(load.uploadBytes ?? 0) } : {}) };
    const response = await fetch(`${server.url}/`, init);
    await compare(
      server.name,
      method,
      await response.text(),
      response.status,
      kind,
      () => new Request(server.url, init),
    );
    return;
  }
  using client = new Client(server.address);
  for (const [i, template] of traffic(load.traffic).slice(0, SAMPLE).entries()) {
    const text = template.replace(UNIQUE, i.toString(16).padStart(UNIQUE.length, "0"));
    client.send(text);
    const { status, body } = client.readResponse();
    await compare(server.name, text, Buffer.from(body, "latin1").toString(), status, kind, () => requestOf(text));
  }
}

async function compare(
  name: string,
  sent: string,
  body: string,
  status: number,
  kind: Kind,
  request: () => Request,
): Promise<void> {
  const known = bodyOf(kind);
  const expected = known === undefined ? await (await handlerOf(kind))(request()) : new Response(known);
  if (status === expected.status && body === (await expected.text())) return;
  throw new Error(`${name} responds with ${status} ${body.slice(0, 300)} to ${sent.slice(0, 1000)}`);
}

function requestOf(text: string): Request {
  const end = text.indexOf("\r\n\r\n");
  const [line = "", ...fields] = text.slice(0, end).split("\r\n");
  const [method = "", target = ""] = line.split(" ");
  const headers = new Headers(
    fields.map((field): [string, string] => [field.slice(0, field.indexOf(":")), field.slice(field.indexOf(":") + 2)]),
  );
  const body = method === "GET" ? null : Buffer.from(text.slice(end + 4), "latin1");
  return new Request(`http://${headers.get("host")}${target}`, { method, headers, body });
}
