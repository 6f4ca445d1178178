// curl: its methods, forms, uploads, 100 Continue, HTTP versions, and parallel transfers.

import { afterEach, afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FetchServer } from "../support/fetch-server.ts";
import { pattern, patternHash } from "../support/pattern.ts";
import { run, endPrograms } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const LARGE = 5_000_000;

describe.skipIf(Bun.which("curl") === null)("curl", () => {
  let server: FetchServer;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "epoll-hello-curl-"));
    writeFileSync(join(folder, "large"), pattern(0, LARGE));
    server = await FetchServer.start();
  });

  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await using ending = server;
    expect(await ending.stop()).toMatchObject({ open: 0, rejected: 0, timeouts: 0, errors: 0, thrown: [] });
  });

  /** Runs curl; returns its output and its messages. */
  async function curl(...args: string[]): Promise<{ shown: string; said: string }> {
    const { code, stdout, stderr } = await run(["curl", "--silent", "--show-error", "--max-time", "30", ...args]);
    expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
    return { shown: stdout, said: stderr };
  }

  const hashed = (method: string, bytes = LARGE): object => ({ method, bytes, sha256: patternHash(bytes) });
  const upload = (): string => join(folder, "large");

  test("GET", async () => {
    expect(await curl(`${server.url}/hello`)).toEqual({ shown: "hello", said: "" });
  });

  test("HEAD: receives the length and no body", async () => {
    const { shown } = await curl("--head", `${server.url}/hello`);
    expect(shown).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(shown).toMatch(/\r\nContent-Length: 5\r\n/i);
    expect(shown).toMatch(/\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/i);
    expect(shown).toEndWith("\r\n\r\n");
  });

  test("POST of a form", async () => {
    const { shown } = await curl("--data", "a=1&b=2", `${server.url}/form`);
    expect(JSON.parse(shown)).toEqual([
      ["a", "1"],
      ["b", "2"],
    ]);
  });

  test("POST of a form with a file", async () => {
    const { shown } = await curl("--form", "name=x y", "--form", `file=@${upload()}`, `${server.url}/form`);
    expect(JSON.parse(shown)).toEqual([
      ["name", "x y"],
      ["file", LARGE],
    ]);
  });

  test("PUT of a file", async () => {
    const { shown } = await curl("--upload-file", upload(), `${server.url}/hash`);
    expect(JSON.parse(shown)).toEqual(hashed("PUT"));
  });

  test("uploads chunked from a pipe", async () => {
    const command = `cat "$1" | curl --silent --show-error --verbose -T - "$2"`;
    const { code, stdout, stderr } = await run(["sh", "-c", command, "sh", upload(), `${server.url}/hash`]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(hashed("PUT"));
    expect(stderr).toContain("\n> Transfer-Encoding: chunked\r\n");
  });

  test("Expect: 100-continue: receives 100, then sends the body", async () => {
    const { shown, said } = await curl(
      "--verbose",
      "--expect100-timeout",
      "25",
      "--header",
      "Expect: 100-continue",
      "--data-binary",
      `@${upload()}`,
      `${server.url}/hash`,
    );
    expect(JSON.parse(shown)).toEqual(hashed("POST"));
    expect(said).toContain("\n< HTTP/1.1 100 Continue\r\n");
  });

  test("Expect: 100-continue: receives the response and sends no body if the handler does not read it", async () => {
    const { shown, said } = await curl(
      "--verbose",
      "--expect100-timeout",
      "25",
      "--header",
      "Expect: 100-continue",
      "--data-binary",
      `@${upload()}`,
      `${server.url}/ignore`,
    );
    expect(shown).toBe("ignored");
    expect(said).not.toContain("100 Continue");
    expect(said).toMatch(/\n< Connection: close\r\n/i);
  });

  test("receives the response if the body is not read", async () => {
    const { shown } = await curl("--header", "Expect:", "--data-binary", `@${upload()}`, `${server.url}/ignore`);
    expect(shown).toBe("ignored");
  });

  test("receives its body back while it sends", async () => {
    const target = join(folder, "echoed");
    await curl("--data-binary", `@${upload()}`, "--output", target, `${server.url}/echo`);
    expect(Buffer.compare(await Bun.file(target).bytes(), pattern(0, LARGE))).toBe(0);
  });

  test("HTTP/1.0: Content-Length if the length is known, otherwise until close", async () => {
    const { shown } = await curl("--http1.0", "--include", `${server.url}/hello`);
    expect(shown).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(shown).toEndWith("\r\n\r\nhello");
    const dripped = await curl("--http1.0", "--include", `${server.url}/drip?pieces=3`);
    expect(dripped.shown).not.toMatch(/transfer-encoding/i);
    expect(dripped.shown).toEndWith("\r\n\r\npiece 3\npiece 2\npiece 1\n");
  });

  test("several requests on one connection, with all kinds of responses", async () => {
    const targets = ["hello", "drip?pieces=2", "slow?ms=2", "nowhere", "hello"].map((name) => `${server.url}/${name}`);
    const { shown } = await curl("--write-out", "\\n%{http_code} %{num_connects}\\n", ...targets);
    expect(shown).toBe(
      "hello\n200 1\npiece 2\npiece 1\n\n200 0\nafter 2 ms\n200 0\nno such page\n404 0\nhello\n200 0\n",
    );
  });

  test("a POST after a POST on one connection", async () => {
    const post = ["--data-binary", `@${upload()}`, `${server.url}/hash`, "--write-out", "\\n%{num_connects}\\n"];
    const { shown } = await curl(...post, "--next", "--silent", ...post);
    const expected = JSON.stringify(hashed("POST"));
    expect(shown).toBe(`${expected}\n1\n${expected}\n0\n`);
  });

  test("a large download, from memory and as a stream", async () => {
    const target = join(folder, "downloaded");
    for (const from of ["bytes", "stream"]) {
      await curl("--output", target, `${server.url}/${from}?bytes=50000000`);
      expect(new Bun.CryptoHasher("sha256").update(await Bun.file(target).bytes()).digest("hex")).toBe(
        patternHash(50_000_000),
      );
    }
  });

  test("parallel requests", async () => {
    const { shown } = await curl("--parallel", "--parallel-max", "50", `${server.url}/slow?ms=[1-200]`);
    expect(shown.match(/after \d+ ms/g)).toHaveLength(200);
  });

  test("an upgrade to HTTP/2 is ignored", async () => {
    const { shown } = await curl("--http2", "--write-out", " %{http_version}", `${server.url}/hello`);
    expect(shown).toBe("hello 1.1");
  });
});
