// A curl command that repeats a request of the trace.

import type { TransferEvent } from "../../../trace/events.ts";

/** Header fields with credentials. Their values are replaced. */
const CREDENTIALS = /^(?:authorization|proxy-authorization|cookie|x-api-key|x-auth-token|x-csrf-token)$/i;
/** Header fields that curl sets itself. */
const SET_BY_CURL = /^(?:host|content-length|connection|transfer-encoding|accept-encoding)$/i;
/** Parameters of a query with credentials. */
const SECRET_PARAMETER =
  /([?&](?:[\w-]*(?:token|secret|password|passwd|api_?key|access_?key|signature|session))=)[^&#]*/gi;

export const REDACTED = "REDACTED";

/**
 * Returns a curl command for the request that a recv event begins, or undefined if it begins none.
 *
 * @param origin the server's URL, for a request without a Host field
 * @param isRevealing keep the values of credentials; default: replace them by REDACTED
 */
export function curlCommand(event: TransferEvent, origin: string, isRevealing: boolean = false): string | undefined {
  const { head, body, isComplete } = splitRequest(event);
  const [, method = "", target = ""] = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(head[0] ?? "") ?? [];
  if (method === "") return undefined;
  const fields = head.slice(1).flatMap((line): [string, string][] => {
    const [, name, value] = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value]];
  });
  const host = fields.find(([name]) => name.toLowerCase() === "host")?.[1];
  const base = host === undefined ? origin.replace(/\/+$/, "") : `http://${host}`;
  const url = target.startsWith("/") ? base + target : target;
  const parts = ["curl", ...methodArguments(method, body !== "")];
  parts.push(quote(isRevealing ? url : url.replace(SECRET_PARAMETER, `$1${REDACTED}`)));
  for (const [name, value] of fields) {
    if (SET_BY_CURL.test(name)) continue;
    parts.push("-H", quote(`${name}: ${!isRevealing && CREDENTIALS.test(name) ? REDACTED : value}`));
  }
  if (body !== "") parts.push("--data-binary", quote(body));
  return `${parts.join(" ")}${isComplete ? "" : " # the trace has only the beginning of the request"}`;
}

function methodArguments(method: string, hasBody: boolean): string[] {
  if (method === "HEAD") return ["-I"];
  return method === (hasBody ? "POST" : "GET") ? [] : ["-X", method];
}

/** Without the option `bytes`, a trace has only the start line of a request. */
function splitRequest({ type, line, bytes }: TransferEvent): { head: string[]; body: string; isComplete: boolean } {
  if (type !== "recv") return { head: [], body: "", isComplete: true };
  if (bytes === undefined) return { head: line === undefined ? [] : [line], body: "", isComplete: true };
  const end = bytes.indexOf("\r\n\r\n");
  const head = (end < 0 ? bytes : bytes.slice(0, end)).split("\r\n");
  if (end < 0) head.splice(1, head.length, ...head.slice(1, -1)); // the last line may be cut
  const length = Number(/^content-length:\s*(\d+)\s*$/im.exec(head.join("\n"))?.[1] ?? 0);
  const body = end < 0 ? "" : bytes.slice(end + 4, end + 4 + length);
  return { head, body, isComplete: end >= 0 && body.length === length };
}

/** Quotes an argument for a POSIX shell; bytes that are not printable are escaped as in $'\\x1b'. */
function quote(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text.replace(/[^\x20-\x7e]|['\\]/g, (char) =>
    char === "'" || char === "\\" ? `\\${char}` : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `$'${escaped}'`;
}
