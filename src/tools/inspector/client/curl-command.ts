// A curl command that repeats a request of the trace.

import type { TransferEvent } from "../../../trace/events.ts";
import { Redactor } from "../../../trace/redact.ts";

/** Header fields that curl sets itself. */
const SET_BY_CURL = /^(?:host|content-length|connection|transfer-encoding|accept-encoding)$/i;
/** What tracing leaves of a credential. */
const REDACTED = /<redacted \d+ bytes>/;

/**
 * Returns a curl command for the request that a recv event begins, or undefined if it begins none.
 *
 * @param origin the server's URL, for a request without a Host field
 * @param isRevealing keep credentials that the trace has; default: replace them by `<redacted N bytes>`
 */
export function curlCommand(event: TransferEvent, origin: string, isRevealing: boolean = false): string | undefined {
  const { head, body, isComplete } = splitRequest(event, isRevealing);
  const [, method = "", target = ""] = /^([A-Z]+) (\S.*) HTTP\/1\.[01]$/.exec(head[0] ?? "") ?? [];
  if (method === "") return undefined;
  const fields = head.slice(1).flatMap((line): [string, string][] => {
    const [, name, value] = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value]];
  });
  const host = fields.find(([name]) => name.toLowerCase() === "host")?.[1];
  const base = host === undefined ? origin.replace(/\/+$/, "") : `http://${host}`;
  const parts = ["curl", ...methodArguments(method, body !== "")];
  parts.push(quote(target.startsWith("/") ? base + target : target));
  for (const [name, value] of fields) if (!SET_BY_CURL.test(name)) parts.push("-H", quote(`${name}: ${value}`));
  if (body !== "") parts.push("--data-binary", quote(body));
  return `${parts.join(" ")}${isComplete ? "" : " # the trace has only the beginning of the request"}`;
}

function methodArguments(method: string, hasBody: boolean): string[] {
  if (method === "HEAD") return ["-I"];
  return method === (hasBody ? "POST" : "GET") ? [] : ["-X", method];
}

interface SplitRequest {
  head: string[];
  body: string;
  isComplete: boolean;
}

/** Without the option `bytes`, a trace has only the start line of a request. */
function splitRequest({ type, line, bytes }: TransferEvent, isRevealing: boolean): SplitRequest {
  const redact = (text: string): string => (isRevealing ? text : new Redactor().redact(text));
  if (type !== "recv") return { head: [], body: "", isComplete: true };
  if (bytes === undefined) return { head: line === undefined ? [] : [redact(line)], body: "", isComplete: true };
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) {
    const lines = redact(bytes).split("\r\n");
    return { head: [lines[0] ?? "", ...lines.slice(1, -1)], body: "", isComplete: false }; // the last line may be cut
  }
  const head = bytes.slice(0, end);
  const length = Number(/^content-length:\s*(\d+)\s*$/im.exec(head)?.[1] ?? 0);
  const rest = bytes.slice(end + 4);
  // The length of a body that was redacted is unknown.
  const body = length > 0 && REDACTED.test(rest) ? rest : rest.slice(0, length);
  return {
    head: redact(head).split("\r\n"),
    body: redact(body),
    isComplete: body.length >= length || REDACTED.test(rest),
  };
}

/** Quotes an argument for a POSIX shell; bytes that are not printable are escaped as in $'\\x1b'. */
function quote(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text.replace(/[^\x20-\x7e]|['\\]/g, (char) =>
    char === "'" || char === "\\" ? `\\${char}` : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `$'${escaped}'`;
}
