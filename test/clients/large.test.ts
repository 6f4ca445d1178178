// Large bodies in both directions: every byte arrives, and the server's memory stays small.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../support/client.ts";
import { download } from "../support/download.ts";
import { FetchServer } from "../support/fetch-server.ts";
import { patternHash, patternPieces } from "../support/pattern.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);

const LARGE = scaled(400_000_000, 1_000_000_000);
const SIZE = `${LARGE / 1_000_000} megabytes`;
const FILE_BYTES = 200_000_000;
/** How much the server's memory may grow: far less than what is transferred. */
const GROWTH_KB = 150_000;
/** The time limit for one transfer on a slow machine; not a measurement. */
const TIMEOUT_MS = 180_000;

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-large-"));
const file = join(folder, "file");
let large: { bytes: number; sha256: string };

beforeAll(async () => {
  large = { bytes: LARGE, sha256: patternHash(LARGE) };
  const writer = Bun.file(file).writer();
  for (const piece of patternPieces(FILE_BYTES)) {
    writer.write(piece);
    await writer.flush();
  }
  await writer.end();
});

afterAll(() => rmSync(folder, { recursive: true }));

const modes = { "under start()": { blocks: false }, "under run()": { blocks: true } };

for (const [mode, serve] of Object.entries(modes).slice(scaled(1, 0))) {
  describe(mode, () => {
    /** Tests a transfer with a new server, whose memory must stay small. */
    function testTransfer(what: string, transfer: (client: Client) => void): void {
      const body = async (): Promise<void> => {
        await using server = await FetchServer.start({ ...serve, file, options: { maxBodyBytes: LARGE } });
        const before = server.residentKb;
        {
          using client = new Client(server.address);
          transfer(client);
        }
        expect(server.peakKb - before).toBeLessThan(GROWTH_KB);
        expect(await server.stop()).toMatchObject({ requests: 1, rejected: 0, timeouts: 0, errors: 0, thrown: [] });
      };
      test(what, body, TIMEOUT_MS);
    }

    testTransfer(`receives ${SIZE} with Content-Length`, (client) => {
      client.send(`POST /hash HTTP/1.1\r\nHost: a\r\nContent-Length: ${LARGE}\r\n\r\n`);
      for (const piece of patternPieces(LARGE)) client.send(piece);
      expect(JSON.parse(client.readResponse().body)).toEqual({ method: "POST", ...large });
    });

    testTransfer(`receives ${SIZE} chunked`, (client) => {
      client.send("POST /hash HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (const piece of patternPieces(LARGE)) {
        client.send(`${piece.length.toString(16)}\r\n`);
        client.send(piece);
        client.send("\r\n");
      }
      client.send("0\r\n\r\n");
      expect(JSON.parse(client.readResponse().body)).toEqual({ method: "POST", ...large });
    });

    testTransfer(`sends ${SIZE} as a stream`, (client) => {
      client.send(`GET /stream?bytes=${LARGE} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const { headers, ...received } = download(client.socket);
      expect(headers).toMatchObject({ "": "HTTP/1.1 200 OK", "transfer-encoding": "chunked" });
      expect(received).toEqual(large);
    });

    testTransfer("sends a file of 200 megabytes with its length", (client) => {
      client.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
      const { headers, ...received } = download(client.socket);
      expect(headers).toMatchObject({ "": "HTTP/1.1 200 OK", "content-length": String(FILE_BYTES) });
      expect(received).toEqual({ bytes: FILE_BYTES, sha256: patternHash(FILE_BYTES) });
    });
  });
}
