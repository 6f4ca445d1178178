// What three HTTP servers make of the same bytes, and the differences between them that the RFCs allow.

/** A request as a handler has seen it. */
export interface Seen {
  method: string;
  target: string;
  /** One character per byte. */
  body: string;
}

/** What a server has done with the bytes of a connection. */
export interface Outcome {
  seen: Seen[];
  /** The status of a rejection; undefined if there was none. */
  rejection: number | undefined;
  /** `waiting`: the connection is open, and the last request is not complete. */
  end: "answered" | "closed" | "waiting";
}

export type Other = "node" | "bun";

/** `stricter`: this server answers fewer requests. `laxer`: more. `framing`: it reads a request that the other reads differently. */
export type Kind = "stricter" | "laxer" | "framing" | "end";

export interface Difference {
  kind: Kind;
  with: Other;
  /** The index of the request in question. */
  index: number;
}

/** Compares the outcome of EpollServer with that of another server. */
export function differenceOf(ours: Outcome, theirs: Outcome, other: Other): Difference | undefined {
  const common = Math.min(ours.seen.length, theirs.seen.length);
  for (let index = 0; index < common; index++) {
    if (!isSame(ours.seen[index] as Seen, theirs.seen[index] as Seen)) return { kind: "framing", with: other, index };
  }
  if (ours.seen.length < theirs.seen.length) return { kind: "stricter", with: other, index: common };
  if (ours.seen.length > theirs.seen.length) return { kind: "laxer", with: other, index: common };
  // Both have rejected the rest, or wait for it. A rejection that is sent later is no difference.
  return undefined;
}

function isSame(a: Seen, b: Seen): boolean {
  return a.method === b.method && a.body === b.body && normalized(a.target) === normalized(b.target);
}

/** Bun's Request has the URL as the URL standard serializes it. */
function normalized(target: string): string {
  try {
    const { pathname, search } = new URL(target.startsWith("/") ? `http://a${target}` : target, "http://a/");
    return pathname + search;
  } catch {
    return target;
  }
}

interface Rule {
  with: Other | "both";
  kind: Kind;
  /** The section that allows it, or that the other server does not follow. */
  rfc: string;
  why: string;
  /** The bytes in which the difference may occur. */
  bytes: RegExp;
}

/** The allowed differences. Each one names its reason; a difference that none explains is a failure. */
export const ALLOWED: readonly Rule[] = [
  // ---- requests that only EpollServer rejects ----
  {
    with: "both",
    kind: "stricter",
    rfc: "9112 3.2",
    why: "no Host, several, or one that is not an authority",
    bytes:
      /^(?![^]*\nhost:[ \t]*[\w.:-]+[ \t]*\r?\n)|host:[^]*host[ \t]*:|host:[ \t]*(?:\r|[^\r\n]*[^\w.:\r\n \t-]|\S+[ \t]+[^\s])|host[ \t]+:/i,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9112 3.2",
    why: "a target that is not in a form for its method",
    bytes: /^[^\r\n]*#|(?:^|\n)(?!OPTIONS)\S+[ \t]+\*|(?:^|\n)\S+ [^/h*\s]/i,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9112 6.1",
    why: "Transfer-Encoding in HTTP/1.0",
    bytes: /HTTP\/1\.0[^]*transfer-encoding/i,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9112 6.1",
    why: "a transfer coding besides chunked, or a disguise of it",
    bytes: /transfer-encoding[ \t]*:(?![ \t]*chunked[ \t]*\r\n)|transfer-encoding[^]*transfer-encoding/i,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9112 6.3",
    why: "Content-Length beside Transfer-Encoding",
    bytes: /content-length[^]*transfer-encoding|transfer-encoding[^]*content-length/i,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9110 8.6",
    why: "Content-Length twice, or not a plain decimal number",
    bytes: /content-length[^]*content-length|content-length[ \t]*:[ \t]*(?!(?:0|[1-9]\d*)[ \t]*\r?\n)/i,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "1945 7.2.2",
    why: "POST, PUT or PATCH without a length in HTTP/1.0",
    bytes: /(?:POST|PUT|PATCH)[^\r\n]* HTTP\/1\.0/,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9112 2.2",
    why: "a CR or LF that does not end a line",
    bytes: /(?:^|[^\r])\n|\r(?:[^\n]|$)/,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9112 3",
    why: "a request line with other separators, or an HTTP version that is not supported",
    bytes: /(?:^|\n)[\w\0-\x20\x7f-\xff]*(?:  |\t)|(?:^|\n)[^\r\n:]*HTTP\/(?!1\.[01]\r)|(?:^|\n)[^\r\n:]*[^ ]HTTP\//i,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9112 5.1",
    why: "spaces before a colon or a name, a name that is no token, or a folded line",
    bytes: /\n[^\r\n:]*[^\w!#$%&'*+.^`|~\r\n:-][^\r\n:]*:|\n:|\r\n[ \t]/,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9110 5.5",
    why: "control characters in a field or target",
    // oxlint-disable-next-line no-control-regex -- these are what is not allowed
    bytes: /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9112 7.1",
    why: "a malformed chunk: Bun and Node.js call the handler before",
    bytes: /transfer-encoding:[ \t]*chunked/i,
  },
  {
    with: "both",
    kind: "stricter",
    rfc: "9110 9.1",
    why: "a damaged method or line without a colon",
    bytes: /(?:^|\n)(?:[^\r\n: ]*[^A-Za-z\r\n: ][^\r\n: ]* |[^\r\n: ]+\r\n)/,
  },
  // ---- requests that only EpollServer accepts ----
  {
    with: "both",
    kind: "laxer",
    rfc: "9112 2.2",
    why: "a bare LF ends a line, in requests without a body that close the connection",
    bytes: /(?:^|[^\r])\n/,
  },
  {
    with: "both",
    kind: "laxer",
    rfc: "9112 2.2",
    why: "an empty line before a request is skipped",
    bytes: /(?:^|\r\n)\r?\n/,
  },
  { with: "both", kind: "laxer", rfc: "9110 2.5", why: "HTTP/1.2 is handled as HTTP/1.1", bytes: /HTTP\/1\.[2-9]/ },
  {
    with: "both",
    kind: "laxer",
    rfc: "9110 9.1",
    why: "methods that the other does not know",
    bytes: /(?:^|\n)(?!(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) )[^\s:]+ [^\r\n]*HTTP\//,
  },
  {
    with: "both",
    kind: "laxer",
    rfc: "9110 5.5",
    why: "bytes above 0x7f in a field or target (obs-text), and a target that the other cannot parse",
    bytes: /[\x80-\xff]|^[^\r\n]*[^\x21-\x7e\r\n ]/,
  },
  // ---- requests that the others frame in another way ----
  {
    with: "bun",
    kind: "framing",
    rfc: "9110 9.3.1",
    why: "Bun.serve drops the body of GET and HEAD; it is delimited alike",
    bytes: /(?:GET|HEAD|get) /,
  },
  {
    with: "both",
    kind: "framing",
    rfc: "9110 9.3.7",
    why: "EpollServer itself answers OPTIONS *; it is delimited alike",
    bytes: /OPTIONS[ \t]+\*/,
  },
  {
    with: "both",
    kind: "framing",
    rfc: "9110 9.3.2",
    why: "EpollServer drops the body of HEAD; it is delimited alike",
    bytes: /HEAD /,
  },
  {
    with: "both",
    kind: "framing",
    rfc: "9112 3.2",
    why: "bytes above 0x7f in a target are decoded differently",
    bytes: /(?:^|\n)\S+ [^\r\n]*[\x80-\xff]/,
  },
];

/** Returns the rule that allows a difference. */
export function ruleFor(difference: Difference, bytes: string): Rule | undefined {
  return ALLOWED.find(
    (rule) =>
      rule.kind === difference.kind &&
      (rule.with === "both" || rule.with === difference.with) &&
      rule.bytes.test(bytes),
  );
}
