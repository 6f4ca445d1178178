// Sends a request as it is, without a client's normalization, and returns the response in a form that can be compared.

import { connect } from "node:net";

export interface Answer {
  status: number;
  headers: Record<string, string[]>;
  body: string;
}

/** Header fields that describe the connection or the moment, and those that servers may write in their own way. */
const IGNORED = new Set(["connection", "date", "keep-alive", "transfer-encoding"]);

/** Sends a request to a port of 127.0.0.1, or to a unix socket, and waits until the server has closed the connection. */
export async function ask(
  to: number | string,
  method: string,
  target: string,
  headers: Record<string, string> = {},
  body: string = "",
): Promise<Answer> {
  const fields = Object.entries({ Host: "host.test", Connection: "close", ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  const length = body === "" ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  const received = await exchange(to, `${method} ${target} HTTP/1.1\r\n${fields.join("")}${length}\r\n${body}`);
  return parse(received);
}

/** Sends bytes, and returns what was received until the connection closed. */
async function exchange(to: number | string, text: string): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  const socket = typeof to === "number" ? connect(to, "127.0.0.1") : connect(to);
  socket.on("connect", () => socket.write(text));
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("close", () => resolve(Buffer.concat(chunks)));
  socket.on("error", reject);
  return promise;
}

function parse(received: Buffer): Answer {
  const text = received.toString("utf8");
  const end = text.indexOf("\r\n\r\n");
  const [line = "", ...fields] = text.slice(0, end).split("\r\n");
  const headers: Record<string, string[]> = {};
  for (const field of fields) {
    const [, name = "", value = ""] = /^([^:]+): (.*)$/.exec(field) ?? [];
    if (!IGNORED.has(name.toLowerCase())) (headers[name.toLowerCase()] ??= []).push(value);
  }
  return { status: Number(line.split(" ")[1]), headers, body: text.slice(end + 4) };
}
