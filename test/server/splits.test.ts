// However the bytes of requests are cut into segments, each request gets exactly one reply, in every mode.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { ErrnoError } from "../../src/index.ts";
import { modeNames, modes } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { SENTENCE, Stage } from "../support/server.ts";

setDefaultTimeout(60_000);

/** As curl sends it. */
const HEAD = "GET /path?q=1 HTTP/1.1\r\nHost: localhost:8800\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";
const LAST = HEAD.replace("Accept: */*", "Connection: close");

/**
 * Send the pieces, with all that the server does between them, and return all that comes to the end.
 *
 * @param isShut a reset is an end too: the document's loop shuts both halves behind its reply, whatever is still sent
 */
function converse(stage: Stage, pieces: readonly string[], isShut = false): string {
  const client = stage.client();
  let text = "";
  const isOver = (what: () => boolean): boolean => {
    try {
      return what();
    } catch (error) {
      if (isShut && error instanceof ErrnoError) return true;
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
    settle(stage);
    if (isOver(read)) break;
  }
  for (let i = 0; !isOver(read); i++) {
    if (i > 1000) throw new Error(`not closed after ${JSON.stringify(text)}`);
    stage.server.tick(1);
  }
  client.close();
  settle(stage);
  return text;
}

/** All that can be done without waiting. Loopback delivers at once. */
function settle({ server }: Stage): void {
  while (server.tick(0) > 0);
}

const repliesIn = (text: string): string[] => text.split(/(?=HTTP\/1\.1 )/);

/** Each of them whole: a status line and the sentence behind its head. */
function isWhole(reply: string): boolean {
  return reply.startsWith("HTTP/1.1 200 OK\r\n") && reply.endsWith(`\r\n\r\n${SENTENCE}`);
}

for (const mode of modeNames) {
  test(`a head in two pieces, cut at every byte: one reply, ${mode}`, () =>
    leavesNoFd(() => {
      using stage = new Stage(modes[mode]);
      for (let at = 1; at < LAST.length; at++) {
        const replies = repliesIn(converse(stage, [LAST.slice(0, at), LAST.slice(at)]));
        expect({ at, replies: replies.length, whole: replies.every(isWhole) }).toEqual({ at, replies: 1, whole: true });
      }
      expect(stage.server.stats).toMatchObject({ requests: LAST.length - 1, rejected: 0, errors: 0, open: 0 });
    }));

  test(`a head that comes byte by byte: one reply, after the last byte, ${mode}`, () =>
    leavesNoFd(() => {
      using stage = new Stage(modes[mode]);
      const client = stage.client();
      for (const byte of LAST) {
        expect(client.recv(1)).toBeNull();
        client.send(byte);
        settle(stage);
      }
      client.close();
      const replies = repliesIn(converse(stage, [...LAST]));
      expect([replies.length, replies.every(isWhole)]).toEqual([1, true]);
      expect(stage.server.stats.requests).toBe(2);
    }));

  test(`what ends a request: two line ends, with or without the second's CR, ${mode}`, () =>
    leavesNoFd(() => {
      using stage = new Stage(modes[mode]);
      // The document's server takes anything for a request; the others, HTTP's.
      const lines = mode === "classic" ? ["hi", "GET /", "\xff\xfe", "GET / HTTP/1.0"] : ["GET / HTTP/1.0"];
      const texts = lines.flatMap((line) => ["\n\n", "\r\n\r\n", "\n\r\n", "\r\n\n"].map((end) => line + end));
      for (const text of texts) {
        for (const pieces of [[text], [...text]]) {
          const replies = repliesIn(converse(stage, pieces));
          expect({ text, replies: replies.length, whole: replies.every(isWhole) }).toEqual({
            text,
            replies: 1,
            whole: true,
          });
        }
      }
      const unended = mode === "classic" ? ["hi\n", "hi\r\n", "\n\r", "a\r\r\n", "a\n\rb\n", "a\n \n"] : [];
      for (const text of [...unended, "GET / HTTP/1.0\n", "GET / HTTP/1.0\r\n", "\r\n"]) {
        const client = stage.client(text);
        stage.settle();
        expect({ text, came: client.recv(1000) }).toEqual({ text, came: null });
      }
    }));

  test(`requests in a row, cut anywhere: as many replies, in order, ${mode}`, () =>
    leavesNoFd(() => {
      using stage = new Stage(modes[mode]);
      const { keepAlive } = modes[mode];
      const request = fc.constantFrom(
        HEAD,
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(3000)}\r\n\r\n`, // longer than what the classic loop reads at once
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", // an empty line too many: RFC 9112, 2.2
      );
      fc.assert(
        fc.property(
          fc.array(request, { maxLength: 12 }),
          fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
          (requests, cuts) => {
            const text = [...requests, LAST].join("");
            const places = [...new Set(cuts.map((cut) => Math.floor(cut * text.length)))].sort((a, b) => a - b);
            const pieces = [...places, text.length]
              .map((end, i) => text.slice(places[i - 1] ?? 0, end))
              .filter((piece) => piece !== "");
            const expected = (keepAlive ? [...requests, LAST] : [requests[0] ?? LAST]).map((request) =>
              request.startsWith("HEAD"),
            );
            const replies = repliesIn(converse(stage, pieces, mode === "classic"));
            expect(replies.map((reply) => reply.endsWith("\r\n\r\n"))).toEqual(expected);
            for (const [i, reply] of replies.entries()) if (expected[i] !== true) expect(isWhole(reply)).toBe(true);
          },
        ),
        { numRuns: 100, seed: 4711 },
      );
      expect(stage.server.stats).toMatchObject({ rejected: 0, open: 0, ...(mode === "classic" ? {} : { errors: 0 }) });
    }));
}
