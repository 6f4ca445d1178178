// Python's http.client and urllib, which are strict about the end of a response.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { FetchServer } from "../support/fetch-server.ts";
import { run, endPrograms } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

test.skipIf(Bun.which("python3") === null)("http.client and urllib get the right responses", async () => {
  await using server = await FetchServer.start();
  const program = join(import.meta.dir, "programs", "http_client.py");
  const { code, stdout, stderr } = await run(["python3", program, String(server.port)]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toEqual({
    several_on_one_connection: [
      [200, 5, true],
      [200, 16, true],
      [404, 12, true],
      [200, 10, true],
      [200, 100_000, true],
      [200, 5, true],
    ],
    head: [200, "100000", 0, true],
    upload_by_length: [true, true],
    upload_by_chunks: [true, true],
    chunks_with_an_extension_and_a_trailer: [5, true],
    echo: ["a/b", true, true],
    close: ["close", true, "hello", true],
    stream_in_http_1_0: [200, null, true, 24],
    urllib_get: "hello",
    urllib_post: true,
  });
  expect(await server.stop()).toMatchObject({ open: 0, rejected: 0, timeouts: 0, errors: 0, thrown: [] });
});
