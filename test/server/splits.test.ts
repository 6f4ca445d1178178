// However requests are split into segments, each gets exactly one response, in every mode.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { ErrnoError } from "../../src/index.ts";
import { modeNames, modes } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { SENTENCE, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

/** A request as curl sends it. */
const HEAD = "GET /path?q=1 HTTP/1.1\r\nHost: localhost:8800\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";
const LAST = HEAD.replace("Accept: */*", "Connection: close");

/**
 * Sends the pieces, lets the server handle each, and returns everything that is received.
 *
 * @param mayReset a reset counts as end of stream: the classic loop shuts down both directions after its response
 */
function exchange(harness: ServerHarness, pieces: readonly string[], mayReset = false): string {
  const client = harness.client();
  let text = "";
  const isOver = (what: () => boolean): boolean => {
    try {
      return what();
    } catch (error) {
      if (mayReset && error instanceof ErrnoError) return true;
      throw error;
    }
  };
  const read = (): boolean => {
    const bytes = client.recv(1_000_000);
    if (bytes !== null) text += Buffer.from(bytes).toString("latin1");
    return bytes?.length === 0;
  };
  for (const piece of pieces) {
    if (isOver(() => client.send(piece) < piece.length)) break;
    settle(harness);
    if (isOver(read)) break;
  }
  for (let i = 0; !isOver(read); i++) {
    if (i > 1000) throw new Error(`not closed after ${JSON.stringify(text)}`);
    harness.server.tick(1);
  }
  client.close();
  settle(harness);
  return text;
}

/** Handles everything that has arrived. Loopback delivers immediately. */
function settle({ server }: ServerHarness): void {
  while (server.tick(0) > 0);
}

const responsesIn = (text: string): string[] => text.split(/(?=HTTP\/1\.1 )/);

/** Returns whether a response is complete: a status line, a head, and the body. */
function isComplete(response: string): boolean {
  return response.startsWith("HTTP/1.1 200 OK\r\n") && response.endsWith(`\r\n\r\n${SENTENCE}`);
}

for (const mode of modeNames) {
  test(`a head in two pieces, split at every byte: one response, ${mode}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness(modes[mode]);
      for (let at = 1; at < LAST.length; at++) {
        const responses = responsesIn(exchange(harness, [LAST.slice(0, at), LAST.slice(at)]));
        expect({ at, responses: responses.length, isComplete: responses.every(isComplete) }).toEqual({
          at,
          responses: 1,
          isComplete: true,
        });
      }
      expect(harness.server.stats).toMatchObject({ requests: LAST.length - 1, rejected: 0, errors: 0, open: 0 });
    }));

  test(`a head sent byte by byte: one response, after the last byte, ${mode}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness(modes[mode]);
      const client = harness.client();
      for (const byte of LAST) {
        expect(client.recv(1)).toBeNull();
        client.send(byte);
        settle(harness);
      }
      client.close();
      const responses = responsesIn(exchange(harness, [...LAST]));
      expect([responses.length, responses.every(isComplete)]).toEqual([1, true]);
      expect(harness.server.stats.requests).toBe(2);
    }));

  test(`two line ends end a request, with or without CR, ${mode}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness(modes[mode]);
      // The classic server accepts anything as a request; the others only HTTP.
      const lines = mode === "classic" ? ["hi", "GET /", "\xff\xfe", "GET / HTTP/1.0"] : ["GET / HTTP/1.0"];
      const texts = lines.flatMap((line) => ["\n\n", "\r\n\r\n", "\n\r\n", "\r\n\n"].map((end) => line + end));
      for (const text of texts) {
        for (const pieces of [[text], [...text]]) {
          const responses = responsesIn(exchange(harness, pieces));
          expect({ text, responses: responses.length, isComplete: responses.every(isComplete) }).toEqual({
            text,
            responses: 1,
            isComplete: true,
          });
        }
      }
      const unended = mode === "classic" ? ["hi\n", "hi\r\n", "\n\r", "a\r\r\n", "a\n\rb\n", "a\n \n"] : [];
      for (const text of [...unended, "GET / HTTP/1.0\n", "GET / HTTP/1.0\r\n", "\r\n"]) {
        const client = harness.client(text);
        harness.settle();
        expect({ text, received: client.recv(1000) }).toEqual({ text, received: null });
      }
    }));

  test(`pipelined requests, split anywhere: one response each, in order, ${mode}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness(modes[mode]);
      const { keepAlive } = modes[mode];
      const request = fc.constantFrom(
        HEAD,
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(3000)}\r\n\r\n`, // longer than one recv of the classic loop
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", // with an extra empty line: RFC 9112, 2.2
      );
      fc.assert(
        fc.property(
          fc.array(request, { maxLength: 12 }),
          fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
          (requests, cuts) => {
            const text = [...requests, LAST].join("");
            const positions = [...new Set(cuts.map((cut) => Math.floor(cut * text.length)))].sort((a, b) => a - b);
            const pieces = [...positions, text.length]
              .map((end, i) => text.slice(positions[i - 1] ?? 0, end))
              .filter((piece) => piece !== "");
            const expected = (keepAlive ? [...requests, LAST] : [requests[0] ?? LAST]).map((request) =>
              request.startsWith("HEAD"),
            );
            const responses = responsesIn(exchange(harness, pieces, mode === "classic"));
            expect(responses.map((response) => response.endsWith("\r\n\r\n"))).toEqual(expected);
            for (const [i, response] of responses.entries()) {
              if (expected[i] !== true) expect(isComplete(response)).toBe(true);
            }
          },
        ),
        { numRuns: 100, seed: 4711 },
      );
      expect(harness.server.stats).toMatchObject({
        rejected: 0,
        open: 0,
        ...(mode === "classic" ? {} : { errors: 0 }),
      });
    }));
}
