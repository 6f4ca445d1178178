// A gigabyte up and a gigabyte down, as streams: each byte is there, and the server holds but a little of it at a time.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../support/client.ts";
import { download } from "../support/download.ts";
import { FetchServer } from "../support/fetch-server.ts";
import { patternHash, patternPieces } from "../support/pattern.ts";

setDefaultTimeout(60_000);

const GIGABYTE = 1_000_000_000;
const FILE_BYTES = 200_000_000;
/** How much more the server may hold at any time than before: far less than what goes through it. */
const GROWTH_KB = 150_000;
/** A gigabyte through two processes on a slow machine: a bound, and no measure. */
const PATIENCE_MS = 180_000;

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-large-"));
const file = join(folder, "file");
let gigabyte: { bytes: number; sha256: string };

beforeAll(async () => {
  gigabyte = { bytes: GIGABYTE, sha256: patternHash(GIGABYTE) };
  const writer = Bun.file(file).writer();
  for (const piece of patternPieces(FILE_BYTES)) {
    writer.write(piece);
    await writer.flush();
  }
  await writer.end();
});

afterAll(() => rmSync(folder, { recursive: true }));

const modes = { "under start()": { blocks: false }, "under run()": { blocks: true } };

for (const [mode, serve] of Object.entries(modes)) {
  describe(mode, () => {
    /** It happens to a server of its own, which holds little of it at any time. */
    function flows(what: string, happens: (client: Client) => void): void {
      const body = async (): Promise<void> => {
        await using server = await FetchServer.start({ ...serve, file, options: { maxBodyBytes: GIGABYTE } });
        const before = server.residentKb;
        {
          using client = new Client(server.address);
          happens(client);
        }
        expect(server.peakKb - before).toBeLessThan(GROWTH_KB);
        expect(await server.stop()).toMatchObject({ requests: 1, rejected: 0, timeouts: 0, errors: 0, thrown: [] });
      };
      test(what, body, PATIENCE_MS);
    }

    flows("a gigabyte up, by its length", (client) => {
      client.send(`POST /hash HTTP/1.1\r\nHost: a\r\nContent-Length: ${GIGABYTE}\r\n\r\n`);
      for (const piece of patternPieces(GIGABYTE)) client.send(piece);
      expect(JSON.parse(client.reply().body)).toEqual({ method: "POST", ...gigabyte });
    });

    flows("a gigabyte up, by chunks", (client) => {
      client.send("POST /hash HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (const piece of patternPieces(GIGABYTE)) {
        client.send(`${piece.length.toString(16)}\r\n`);
        client.send(piece);
        client.send("\r\n");
      }
      client.send("0\r\n\r\n");
      expect(JSON.parse(client.reply().body)).toEqual({ method: "POST", ...gigabyte });
    });

    flows("a gigabyte down, as a stream", (client) => {
      client.send(`GET /stream?bytes=${GIGABYTE} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const { headers, ...came } = download(client.socket);
      expect(headers).toMatchObject({ "": "HTTP/1.1 200 OK", "transfer-encoding": "chunked" });
      expect(came).toEqual(gigabyte);
    });

    flows("a file of 200 megabytes, with its length", (client) => {
      client.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
      const { headers, ...came } = download(client.socket);
      expect(headers).toMatchObject({ "": "HTTP/1.1 200 OK", "content-length": String(FILE_BYTES) });
      expect(came).toEqual({ bytes: FILE_BYTES, sha256: patternHash(FILE_BYTES) });
    });
  });
}
