// Ranges of files and conditional requests: RFC 9110, 13 and 14. Bun.serve answers the same requests, where it supports them.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EpollServer, type FetchHandler } from "../../src/index.ts";
import { parseHttpDate } from "../../src/protocols/http/http-date.ts";
import { leavesNoFd } from "../support/fds.ts";
import { FetchHarness, parseResponses, type ReceivedResponse } from "../support/fetch-harness.ts";

setDefaultTimeout(60_000);

const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
const path = (name: string): string => join(directory, name);
const content = "0123456789".repeat(10);
const large = Buffer.from(Uint32Array.from({ length: 750_000 }, (_, i) => i).buffer);
/** When all files were modified. */
const DATE = "Sun, 06 Nov 1994 08:49:37 GMT";
const EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT";
const LATER = "Sun, 06 Nov 1994 08:49:38 GMT";

function write(name: string, bytes: string | Buffer): void {
  writeFileSync(path(name), bytes);
  utimesSync(path(name), new Date(DATE), new Date(DATE));
}

beforeAll(() => {
  write("file.txt", content);
  write("empty.txt", "");
  write("large.bin", large);
});
afterAll(() => rmSync(directory, { recursive: true }));

const file = (): Response => new Response(Bun.file(path("file.txt")));

/** Asks for `/` with these fields. */
async function ask(handler: FetchHandler, ...fields: readonly string[]): Promise<ReceivedResponse> {
  using harness = new FetchHarness(handler);
  return await harness.ask(["GET / HTTP/1.1", ...fields].join("\r\n"));
}

describe("answers a range as Bun.serve does", () => {
  const ranges = [
    "bytes=0-4",
    "bytes=10-10",
    "bytes=95-",
    "bytes=0-",
    "bytes=-5",
    "bytes=-999",
    "bytes=0-999",
    "bytes=100-",
    "bytes=200-300",
    "bytes=-0",
    "bytes=5-2",
    "bytes=",
    "bytes=-",
    "bytes=x-y",
    "bytes=0-4x",
    "items=0-4",
    "0-4",
  ];
  const handlers: Record<string, () => Response> = {
    "a file": file,
    "a file of status 201": () => new Response(Bun.file(path("file.txt")), { status: 201 }),
    "a file with a Content-Range": () =>
      new Response(Bun.file(path("file.txt")).slice(0, 5), {
        status: 206,
        headers: { "Content-Range": "bytes 0-4/100" },
      }),
    "a copy by middleware": () => {
      const response = file();
      return new Response(response.body, response);
    },
    "bytes in memory": () => new Response(content),
  };
  for (const [name, make] of Object.entries(handlers)) {
    test(name, async () => {
      using bun = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: make });
      const server = new EpollServer({ hostname: "127.0.0.1", fetch: make });
      await server.start();
      for (const range of ["", ...ranges]) {
        const get = async (port: number | undefined): Promise<unknown> => {
          const response = await fetch(`http://127.0.0.1:${port}/`, range === "" ? {} : { headers: { Range: range } });
          const { status, headers } = response;
          const fields = ["content-range", "content-length", "content-type"].map((field) => headers.get(field));
          return { range, status, fields, body: await response.text() };
        };
        expect(await get(server.port)).toEqual(await get(bun.port));
      }
      await server.stop();
    });
  }
});

test("says of each whole file that ranges of it can be had, with an ETag and Last-Modified", () =>
  leavesNoFd(async () => {
    const { status, headers, body } = await ask(file);
    expect([status, body]).toEqual([200, content]);
    expect(headers).toMatchObject({ "accept-ranges": "bytes", "last-modified": DATE, "content-length": "100" });
    expect(headers["etag"]).toMatch(/^"[\da-f]+-64"$/);
  }));

test("another content has another ETag", async () => {
  const tags = new Set<string | undefined>();
  write("changing", "abc");
  const changing = (): Response => new Response(Bun.file(path("changing")));
  tags.add((await ask(changing))["headers"]["etag"]);
  write("changing", "abcd");
  tags.add((await ask(changing))["headers"]["etag"]);
  utimesSync(path("changing"), 784111777.5, 784111777.5); // in the same second
  tags.add((await ask(changing))["headers"]["etag"]);
  expect(tags.size).toBe(3);
});

test("a file that seems to be modified in the future was modified now", async () => {
  writeFileSync(path("future"), "x");
  utimesSync(path("future"), 4e9, 4e9);
  const { headers } = await ask(() => new Response(Bun.file(path("future"))));
  expect(Date.parse(headers["last-modified"] ?? "")).toBeLessThanOrEqual(Date.now());
});

describe("several ranges", () => {
  interface Part {
    type: string | undefined;
    range: string | undefined;
    body: string;
  }

  function partsOf({ status, headers, body }: ReceivedResponse): Part[] {
    expect(status).toBe(206);
    expect(headers["content-range"]).toBeUndefined();
    expect(headers["content-length"]).toBe(String(body.length));
    const boundary = /^multipart\/byteranges; boundary=([\w-]+)$/.exec(headers["content-type"] ?? "")?.[1];
    const [before, ...parts] = `\r\n${body}`.split(`\r\n--${boundary}`);
    expect([before, parts.pop()]).toEqual(["", "--\r\n"]);
    return parts.map((part) => {
      const end = part.indexOf("\r\n\r\n");
      const field = (name: string): string | undefined =>
        new RegExp(`\r\n${name}: (.*)\r\n`).exec(part.slice(0, end + 2))?.[1];
      return { type: field("content-type"), range: field("content-range"), body: part.slice(end + 4) };
    });
  }

  test("are sent as multipart/byteranges, in the order of the request", () =>
    leavesNoFd(async () => {
      const response = await ask(file, "Range: bytes=0-0, -2 ,\t5-9");
      expect(response.headers).toMatchObject({ "accept-ranges": "bytes", "last-modified": DATE });
      const type = "text/plain;charset=utf-8";
      expect(partsOf(response)).toEqual([
        { type, range: "bytes 0-0/100", body: "0" },
        { type, range: "bytes 98-99/100", body: "89" },
        { type, range: "bytes 5-9/100", body: "56789" },
      ]);
    }));

  test("of a large file, on Bun's event loop too", () =>
    leavesNoFd(async () => {
      const make = (): Response => new Response(Bun.file(path("large.bin")), { headers: { "Content-Type": "a/b" } });
      const ranges = [
        [2_000_000, 2_999_999],
        [0, 600_000],
        [1_000_000, 1_000_000],
      ] as const;
      const field = `Range: bytes=${ranges.map((range) => range.join("-")).join(",")}`;
      const expected = ranges.map(([first, last]) => ({
        type: "a/b",
        range: `bytes ${first}-${last}/3000000`,
        body: large.toString("latin1", first, last + 1),
      }));
      expect(partsOf(await ask(make, field))).toEqual(expected);

      using harness = new FetchHarness(make);
      await harness.start();
      expect(partsOf(await harness.ask(`GET / HTTP/1.1\r\n${field}`))).toEqual(expected);
      await harness.server.stop({ graceMs: 0 });
    }));

  test("of which one is in the file are answered like that one", async () => {
    const { status, headers, body } = await ask(file, "Range: bytes=200-300,5-6");
    expect([status, headers["content-range"], body]).toEqual([206, "bytes 5-6/100", "56"]);
  });

  test("of which none is in the file get 416", async () => {
    const { status, headers, body } = await ask(file, "Range: bytes=200-300,-0");
    expect([status, headers["content-range"], body]).toEqual([416, "bytes */100", ""]);
    expect(headers).not.toHaveProperty("content-type");
  });

  const whole = {
    "are longer in total than the file": "bytes=0-,0-,50-",
    "are more than 64": `bytes=${Array.from({ length: 65 }, (_, i) => `${i}-${i}`).join(",")}`,
    "are only commas": `bytes=${",".repeat(5000)}`,
    "one of which is malformed": "bytes=0-1,5-2",
  };
  for (const [name, range] of Object.entries(whole)) {
    test(`that ${name} get the whole file`, async () => {
      const { status, body } = await ask(file, `Range: ${range}`);
      expect([status, body]).toEqual([200, content]);
    });
  }

  test("are served up to 64", async () => {
    const range = Array.from({ length: 64 }, (_, i) => `${i}-${i}`).join(",");
    expect(partsOf(await ask(file, `Range: bytes=${range}`))).toHaveLength(64);
  });

  test("on two lines are one list", async () => {
    const parts = partsOf(await ask(file, "Range: bytes=0-1", "Range: 5-6"));
    expect(parts.map(({ body }) => body)).toEqual(["01", "56"]);
  });

  test("a client that leaves closes the file", () =>
    leavesNoFd(async () => {
      using harness = new FetchHarness(() => new Response(Bun.file(path("large.bin"))));
      const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1400000,1500000-2900000\r\n\r\n");
      await harness.text(client, /206/);
      client.setLinger(0);
      client.close();
      await harness.until(() => harness.server.stats.open === 0);
    }));
});

test("ranges have no effect on HEAD and POST", async () => {
  using harness = new FetchHarness(file);
  const head = await harness.rest(
    harness.client("HEAD / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-4\r\nConnection: close\r\n\r\n"),
  );
  const [response] = parseResponses(head, true);
  expect([response?.status, response?.headers["content-length"]]).toEqual([200, "100"]);
  expect(response?.headers).toHaveProperty("etag");
  const posted = await harness.ask("POST / HTTP/1.1\r\nContent-Length: 0\r\nRange: bytes=0-4\r\nIf-None-Match: *");
  expect([posted.status, posted.body]).toEqual([200, content]);
});

test("an empty file has no ranges", async () => {
  const empty = (): Response => new Response(Bun.file(path("empty.txt")));
  for (const range of ["bytes=0-", "bytes=-5"]) {
    const { status, headers } = await ask(empty, `Range: ${range}`);
    expect([status, headers["content-length"], headers["content-range"]]).toEqual([200, "0", undefined]);
  }
});

describe("conditional requests", () => {
  const TAG = '"a"';
  const withTag =
    (etag: string): FetchHandler =>
    () =>
      new Response(Bun.file(path("file.txt")), { headers: { ETag: etag } });
  // RFC 9110, 13.2.2: If-Match before If-Unmodified-Since, If-None-Match before If-Modified-Since, and all of them before If-Range.
  const cases: readonly (readonly [fields: readonly string[], status: number])[] = [
    [[`If-None-Match: ${TAG}`], 304],
    [[`If-None-Match: W/${TAG}`], 304],
    [['If-None-Match: "x", "a" ,"y"'], 304],
    [['If-None-Match: "x"', 'If-None-Match: "a"'], 304],
    [["If-None-Match: *"], 304],
    [['If-None-Match: "b"'], 200],
    [["If-None-Match: a"], 200],
    [['If-None-Match: "x,"a'], 200],
    [[`If-Modified-Since: ${DATE}`], 304],
    [[`If-Modified-Since: ${LATER}`], 304],
    [[`If-Modified-Since: ${EARLIER}`], 200],
    [["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], 304],
    [["If-Modified-Since: Sun Nov  6 08:49:37 1994"], 304],
    [["If-Modified-Since: yesterday"], 200],
    [["If-Modified-Since: 2030"], 200],
    [['If-None-Match: "b"', `If-Modified-Since: ${LATER}`], 200],
    [[`If-None-Match: ${TAG}`, `If-Modified-Since: ${EARLIER}`], 304],
    [[`If-Match: ${TAG}`], 200],
    [["If-Match: *"], 200],
    [[`If-Match: W/${TAG}`], 412],
    [['If-Match: "b", "c"'], 412],
    [[`If-Unmodified-Since: ${DATE}`], 200],
    [[`If-Unmodified-Since: ${EARLIER}`], 412],
    [["If-Unmodified-Since: nonsense"], 200],
    [[`If-Match: ${TAG}`, `If-Unmodified-Since: ${EARLIER}`], 200],
    [['If-Match: "b"', `If-None-Match: ${TAG}`], 412],
    [[`If-Match: ${TAG}`, `If-None-Match: ${TAG}`], 304],
    [["Range: bytes=0-4", `If-None-Match: ${TAG}`], 304],
    [["Range: bytes=500-", 'If-Match: "b"'], 412],
    [["Range: bytes=0-4", `If-Range: ${TAG}`], 206],
    [["Range: bytes=0-4", 'If-Range: "b"'], 200],
    [["Range: bytes=0-4", `If-Range: W/${TAG}`], 200],
    [["Range: bytes=0-4", `If-Range: ${DATE}`], 206],
    [["Range: bytes=0-4", `If-Range: ${EARLIER}`], 200],
    [["Range: bytes=0-4", `If-Range: ${LATER}`], 200],
    [["Range: bytes=500-", 'If-Range: "b"'], 200],
    [["Range: bytes=500-", `If-Range: ${TAG}`], 416],
    [[`If-Range: ${TAG}`], 200],
  ];
  for (const [fields, expected] of cases) {
    test(`${fields.join(", ")}: ${expected}`, () =>
      leavesNoFd(async () => {
        const { status, headers, body } = await ask(withTag(TAG), ...fields);
        expect(status).toBe(expected);
        expect(headers).toMatchObject({ etag: TAG, "last-modified": DATE });
        expect(body).toBe(expected === 200 ? content : expected === 206 ? "01234" : "");
        expect(headers["content-length"]).toBe(expected === 304 ? undefined : String(body.length));
        expect(headers["content-type"]).toBe(expected < 300 ? "text/plain;charset=utf-8" : undefined);
      }));
  }

  test("with the server's own ETag, and for HEAD", async () => {
    using harness = new FetchHarness(file);
    const { etag } = (await harness.ask("GET / HTTP/1.1")).headers;
    expect((await harness.ask(`GET / HTTP/1.1\r\nIf-None-Match: ${etag}`)).status).toBe(304);
    expect((await harness.ask(`GET / HTTP/1.1\r\nRange: bytes=1-2\r\nIf-Range: ${etag}`)).body).toBe("12");
    const head = `HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nIf-None-Match: ${etag}\r\n\r\n`;
    expect(parseResponses(await harness.rest(harness.client(head)), true)[0]?.status).toBe(304);
  });

  test("a weak ETag is never strongly equal", async () => {
    const weak = withTag(`W/${TAG}`);
    expect((await ask(weak, `If-None-Match: ${TAG}`)).status).toBe(304);
    expect((await ask(weak, `If-Match: W/${TAG}`)).status).toBe(412);
    expect((await ask(weak, "Range: bytes=0-4", `If-Range: W/${TAG}`)).status).toBe(200);
  });

  test("have no effect on other statuses and bodies", async () => {
    const created = (): Response => new Response(Bun.file(path("file.txt")), { status: 201, headers: { ETag: TAG } });
    const text = (): Response => new Response("text", { headers: { ETag: TAG } });
    for (const handler of [created, text]) {
      const { status, body } = await ask(handler, `If-None-Match: ${TAG}`, 'If-Match: "b"', "Range: bytes=0-1");
      expect([200, 201]).toContain(status);
      expect(body.length).toBeGreaterThan(3);
    }
  });
});

test("what the handler has set stays", async () => {
  const own = { ETag: '"own"', "Last-Modified": EARLIER, "Accept-Ranges": "none" };
  const handler = (): Response => new Response(Bun.file(path("file.txt")), { headers: own });
  const { status, headers, body } = await ask(handler, "Range: bytes=0-4");
  expect([status, body]).toEqual([200, content]);
  expect(headers).toMatchObject({ etag: '"own"', "last-modified": EARLIER, "accept-ranges": "none" });
  expect((await ask(handler, `If-Modified-Since: ${EARLIER}`)).status).toBe(304);
});

describe("slices", () => {
  test("that answer the request's range are partial content of the file", async () => {
    for (const [range, start, end] of [
      ["bytes=10-19", 10, 20],
      ["bytes=10-", 10, 15], // as much as the handler sends at a time
      ["bytes=-30", 70, 100],
      ["bytes=0-", 0, 50],
    ] as const) {
      const handler = (): Response => new Response(Bun.file(path("file.txt")).slice(start, end));
      const { status, headers, body } = await ask(handler, `Range: ${range}`);
      expect([status, body]).toEqual([206, content.slice(start, end)]);
      expect(headers["content-range"]).toBe(`bytes ${start}-${end - 1}/100`);
      expect(headers["etag"]).toBe((await ask(file)).headers["etag"]);
    }
  });

  test("have their own ranges otherwise", async () => {
    const handler = (): Response => new Response(Bun.file(path("file.txt")).slice(10, 30));
    const whole = await ask(handler);
    expect([whole.status, whole.body]).toEqual([200, content.slice(10, 30)]);
    expect(whole.headers["etag"]).not.toBe((await ask(file)).headers["etag"]);
    const { status, headers, body } = await ask(handler, "Range: bytes=2-4");
    expect([status, headers["content-range"], body]).toEqual([206, "bytes 2-4/20", "234"]);
    expect((await ask(handler, "Range: bytes=20-")).status).toBe(416);
  });
});

test("a file of /proc, whose size is 0, has neither ranges nor validators", async () => {
  const handler = (): Response => new Response(Bun.file("/proc/self/status"));
  const { status, headers, body } = await ask(handler, "Range: bytes=0-4", "If-None-Match: *");
  expect([status, body.startsWith("Name:\t")]).toEqual([200, true]);
  for (const name of ["etag", "last-modified", "accept-ranges"]) expect(headers).not.toHaveProperty(name);
});

test("a range of a file that is replaced is sent whole, and of one that is truncated resets the connection", () =>
  leavesNoFd(async () => {
    const size = 30_000_000;
    writeFileSync(path("sent"), Buffer.alloc(size, "a"));
    const errors: string[] = [];
    using harness = new FetchHarness(() => new Response(Bun.file(path("sent"))), {
      onError: (error) => void errors.push(String(error)),
    });
    const request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes=1000-20000999\r\n\r\n";
    const first = harness.client(request);
    const begin = await harness.text(first, /HTTP/);
    writeFileSync(path("next"), "b");
    renameSync(path("next"), path("sent"));
    const [response] = parseResponses(begin + (await harness.rest(first)));
    expect([response?.status, response?.body === "a".repeat(20_000_000)]).toEqual([206, true]);
    first.close();

    writeFileSync(path("sent"), Buffer.alloc(size, "a"));
    const several = harness.client(request.replace("20000999", "9999999,10000000-29999999"));
    await harness.text(several, /HTTP/);
    truncateSync(path("sent"), 10);
    await harness.until(() => {
      try {
        several.recv(1_000_000);
      } catch {
        // reset
      }
      return harness.server.stats.open === 0;
    });
    expect(errors).toEqual([expect.stringContaining("was truncated while it was being sent")]);
  }));

test("a file that was truncated since the client asked for its end gets 416", async () => {
  write("log", content);
  const handler = (): Response => new Response(Bun.file(path("log")));
  expect((await ask(handler, "Range: bytes=90-")).body).toBe("0123456789");
  truncateSync(path("log"), 50);
  const { status, headers } = await ask(handler, "Range: bytes=90-");
  expect([status, headers["content-range"]]).toEqual([416, "bytes */50"]);
  rmSync(path("log"));
  expect((await ask(handler, "Range: bytes=90-")).status).toBe(404);
});

test("curl resumes a download", async () => {
  const curl = Bun.which("curl");
  if (curl === null) return;
  const server = new EpollServer({ hostname: "127.0.0.1", fetch: () => new Response(Bun.file(path("large.bin"))) });
  await server.start();
  try {
    writeFileSync(path("part"), large.subarray(0, 1_234_567));
    const child = Bun.spawn([curl, "-sS", "-C", "-", "-o", path("part"), `http://127.0.0.1:${server.port}/`]);
    expect(await child.exited).toBe(0);
    expect(Buffer.from(await Bun.file(path("part")).bytes()).equals(large)).toBe(true);
    expect(server.stats.bytesOut).toBeLessThan(large.length);
    expect(statSync(path("part")).size).toBe(large.length);
  } finally {
    await server.stop();
  }
});

test("dates are parsed in the three formats of RFC 9110, 5.6.7, and in no others", () => {
  const ms = Date.UTC(1994, 10, 6, 8, 49, 37);
  for (const text of [DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]) {
    expect(parseHttpDate(text)).toBe(ms);
  }
  const year = new Date().getUTCFullYear() + 60;
  const twoDigits = String(year % 100).padStart(2, "0");
  expect(parseHttpDate(`Sunday, 06-Nov-${twoDigits} 08:49:37 GMT`)).toBe(Date.UTC(year - 100, 10, 6, 8, 49, 37));
  for (const text of [
    "",
    "0",
    "1994",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 +0100",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Foo 1994 08:49:37 GMT",
    `${DATE} x`,
  ]) {
    expect(parseHttpDate(text)).toBeUndefined();
  }
});
