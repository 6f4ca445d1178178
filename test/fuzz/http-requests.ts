// Random HTTP/1.1 requests: mostly valid, with every kind of framing, and with the mistakes that smuggle requests.

import fc from "fast-check";

/** A request, or something like it, as text with one character per byte. */
export type RequestBytes = string;

const weighted = <T>(...values: [weight: number, value: T][]): fc.Arbitrary<T> =>
  fc.oneof(...values.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));

const method = weighted([12, "GET"], [12, "POST"], [3, "PUT"], [2, "HEAD"], [2, "DELETE"], [1, "OPTIONS"], [1, "PATCH"], [1, "get"], [1, "FOO"], [1, "G ET"], [1, ""], [1, "PRI"]); // prettier-ignore
const target = weighted([20, "/"], [5, "/a?b=c"], [2, "/%41"], [2, "http://a/abs"], [1, "*"], [1, "a"], [1, "/a b"], [1, "/\x80"], [1, "/\x00"], [1, "/#x"], [1, "//b/c"]); // prettier-ignore
const version = weighted([40, "HTTP/1.1"], [6, "HTTP/1.0"], [1, "HTTP/1.2"], [1, "HTTP/2.0"], [1, "HTTP/0.9"], [1, "http/1.1"], [1, "HTTP/1.1 "], [1, "HTTP/01.1"], [1, ""]); // prettier-ignore
const separator = weighted([40, " "], [1, "  "], [1, "\t"], [1, ""]);
const lineEnd = weighted([60, "\r\n"], [2, "\n"], [1, "\r"], [1, "\r\r\n"], [1, "\r\n "]);
const body = weighted([6, ""], [6, "hello"], [4, "12345678901"], [2, "GET /in-body HTTP/1.1\r\nHost: a\r\n\r\n"], [1, "\r\n"], [1, "\0\xff"]); // prettier-ignore

const host = weighted([40, ["Host: a"]], [2, []], [1, ["Host: a", "Host: a"]], [1, ["Host:"]], [1, ["Host: a b"]], [1, ["Host : a"]], [1, ["hOST: a:80"]], [1, ["Host: a/b"]]); // prettier-ignore
const plainField = weighted(
  [8, "X: y"], [4, "Accept: */*"], [2, "Connection: close"], [2, "Connection: keep-alive"], [1, "Connection: Close, x"],
  [1, "X:"], [1, "X:y"], [1, "X :y"], [1, " X: y"], [1, "X: y\0z"], [1, "X: \x7f"], [1, "X: \x80\xff"], [1, "X"], [1, ": y"], [1, "X(: y"],
  [1, "X: a\r\n b"], [1, "X: a\rb"], [1, "X: a\nContent-Length: 5"], [1, "Upgrade: x"], [1, "X\t: y"], [1, "Trailer: X"], [1, "Connection: upgrade"],
); // prettier-ignore

/** Content-Length fields of a body. */
const lengthField = (text: string): fc.Arbitrary<string[]> =>
  weighted(
    [40, [`Content-Length: ${text.length}`]], [1, [`Content-Length: ${text.length}`, `Content-Length: ${text.length}`]],
    [1, [`Content-Length: ${text.length}`, "Content-Length: 3"]], [1, [`Content-Length: ${text.length}, ${text.length}`]],
    [1, [`Content-Length: +${text.length}`]], [1, [`Content-Length: 0${text.length}`]], [1, [`Content-Length: 0x${text.length.toString(16)}`]],
    [1, ["Content-Length: -1"]], [1, ["Content-Length:"]], [1, [`Content-Length: ${text.length} `]], [1, ["Content-Length: 1e1"]],
    [1, ["Content-Length: 18446744073709551621"]], [1, [`Content-Length : ${text.length}`]], [1, [`Content_Length: ${text.length}`]],
    [1, [`Content-Length:\t${text.length}`]], [1, [`Content-Length: ${text.length}`, "Transfer-Encoding: chunked"]],
    [1, ["Transfer-Encoding: identity", `Content-Length: ${text.length}`]], [1, [`Content-Length: ${text.length + 2}`]],
  ); // prettier-ignore

const codingField = weighted(
  [40, ["Transfer-Encoding: chunked"]], [2, ["transfer-encoding:CHUNKED"]], [1, ["Transfer-Encoding: chunked", "Content-Length: 4"]],
  [1, ["Transfer-Encoding: gzip, chunked"]], [1, ["Transfer-Encoding: chunked, chunked"]], [1, ["Transfer-Encoding: identity"]],
  [1, ["Transfer-Encoding: chunked, identity"]], [1, ["Transfer-Encoding : chunked"]], [1, ["Transfer-Encoding:\x0bchunked"]],
  [1, ["Transfer-Encoding: xchunked"]], [1, ["Transfer-Encoding: chunked;x"]], [1, ["Transfer-Encoding:"]], [1, ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]],
  [1, ["Transfer-Encoding: ,chunked"]], [1, ["X: 1\nTransfer-Encoding: chunked"]], [1, ["Transfer-Encoding: \"chunked\""]], [1, ["Transfer_Encoding: chunked"]],
); // prettier-ignore

const size = (text: string): fc.Arbitrary<string> => {
  const hex = text.length.toString(16);
  return weighted([60, hex], [2, hex.toUpperCase()], [2, `0${hex}`], [2, `${hex};a=b`], [1, `${hex};a="b;c"`], [1, `${hex} `], [1, `${hex};`], [1, ` ${hex}`], [1, `0x${hex}`], [1, `-${hex}`], [1, `${hex};a\nb`], [1, `${hex};\x00`], [1, `1000000000000000${hex}`], [1, `${hex};a=\x7f`], [1, `${hex}g`]); // prettier-ignore
};
const chunk = fc
  .constantFrom("a", "hello", "0\r\n\r\n", "x".repeat(17))
  .chain((text) => fc.tuple(size(text), lineEnd, fc.constant(text), lineEnd))
  .map((parts) => parts.join(""));
const trailer = weighted([30, ""], [2, "T: u\r\n"], [1, "Content-Length: 5\r\n"], [1, "T\r\n"], [1, " T: u\r\n"], [1, "T: \0\r\n"], [1, "T: u\n"]); // prettier-ignore
const chunkedBody = fc
  .tuple(
    fc.array(chunk, { maxLength: 3 }),
    weighted([30, "0"], [1, "00"], [1, "0;x"], [1, ""]),
    lineEnd,
    trailer,
    lineEnd,
  )
  .map(([chunks, ...rest]) => chunks.join("") + rest.join(""));

const framed: fc.Arbitrary<{ fields: string[]; body: string }> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ fields: [] as string[], body: "" as string }) },
  { weight: 4, arbitrary: body.chain((text) => lengthField(text).map((fields) => ({ fields, body: text }))) },
  { weight: 4, arbitrary: fc.tuple(codingField, chunkedBody).map(([fields, text]) => ({ fields, body: text })) },
);

/** A request built from parts, each of which is right most of the time. */
export const built: fc.Arbitrary<RequestBytes> = fc
  .record({
    before: weighted([40, ""], [1, "\r\n"], [1, "\n"], [1, " "], [1, "\r"]),
    line: fc.tuple(method, separator, target, separator, version, lineEnd),
    host,
    fields: fc.array(plainField, { maxLength: 2 }),
    framed,
    ends: fc.array(lineEnd, { minLength: 6, maxLength: 6 }),
    last: lineEnd,
    isHostLast: fc.boolean(),
  })
  .map(({ before, line, host, fields, framed, ends, last, isHostLast }) => {
    const all = isHostLast ? [...fields, ...framed.fields, ...host] : [...host, ...framed.fields, ...fields];
    const lines = all.map((field, i) => field + (ends[i] ?? "\r\n"));
    return before + line.join("") + lines.join("") + last + framed.body;
  });

/** The same with one byte changed, removed or repeated. */
const damaged: fc.Arbitrary<RequestBytes> = fc
  .tuple(
    built,
    fc.double({ min: 0, max: 0.999, noNaN: true }),
    fc.constantFrom("change", "remove", "repeat"),
    fc.nat(255),
  )
  .map(([bytes, where, how, value]) => {
    const at = Math.floor(where * bytes.length);
    const middle =
      how === "change" ? String.fromCharCode(value) : how === "remove" ? "" : bytes.slice(at, at + 1).repeat(2);
    return bytes.slice(0, at) + middle + bytes.slice(at + 1);
  });

/** One to three requests on a connection. */
export const requests: fc.Arbitrary<RequestBytes> = fc
  .array(fc.oneof({ weight: 4, arbitrary: built }, { weight: 1, arbitrary: damaged }), { minLength: 1, maxLength: 3 })
  .map((all) => all.join(""));
