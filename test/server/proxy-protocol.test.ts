// The PROXY protocol: the client's address from the header that a proxy sends first.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Address } from "../../src/kernel/address.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { AF_UNIX, EpollServer, type EpollServerOptions, Socket } from "../../src/index.ts";
import { MAX_PARSED_BYTES, parseProxyHeader } from "../../src/protocols/proxy/proxy-header.ts";
import { leavesNoFd } from "../support/fds.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";
import { freePort } from "../support/sockets.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);

const sys = syscalls();
const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
const V2 = latin1("\r\n\r\n\0\r\nQUIT\n");
const V1 = "PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\n";
const CLIENT = { address: "192.0.2.1", port: 50_000, family: "IPv4" } as const;

/** Returns a header of version 2. `length`: of what follows, if it is not that of `rest`. */
function v2(command: number, family: number, rest: Uint8Array, length = rest.length): Buffer {
  return Buffer.concat([V2, Buffer.from([command, family, length >> 8, length & 0xff]), rest]);
}

const ipv4 = Buffer.from([192, 0, 2, 1, 192, 0, 2, 2, 0xc3, 0x50, 0, 80]);
const ipv6 = Buffer.from(`20010db8${"00".repeat(11)}01${"20010db8"}${"00".repeat(11)}02c3500050`, "hex");
const unix = Buffer.concat([Buffer.from("/run/client.sock"), Buffer.alloc(200)]);
const IPV6_CLIENT = { address: "2001:db8::1", port: 50_000, family: "IPv6" } as const;

describe("parses", () => {
  const right: readonly (readonly [name: string, bytes: string | Buffer, client: Address | undefined])[] = [
    ["version 1, TCP4", V1, CLIENT],
    ["version 1, TCP6", "PROXY TCP6 2001:db8::1 2001:DB8::2 50000 443\r\n", IPV6_CLIENT],
    [
      "version 1, the longest line",
      `PROXY TCP6 ${"ffff:".repeat(7)}ffff ${"ffff:".repeat(7)}ffff 65535 65535\r\n`,
      { address: "ffff:".repeat(7) + "ffff", port: 65_535, family: "IPv6" },
    ],
    [
      "version 1, the shortest ports",
      "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n",
      { address: "0.0.0.0", port: 0, family: "IPv4" },
    ],
    ["version 1, UNKNOWN", "PROXY UNKNOWN\r\n", undefined],
    ["version 1, UNKNOWN with addresses", "PROXY UNKNOWN 1.2.3.4 what ever\r\n", undefined],
    ["version 2, TCP over IPv4", v2(0x21, 0x11, ipv4), CLIENT],
    ["version 2, UDP over IPv4", v2(0x21, 0x12, ipv4), CLIENT],
    ["version 2, IPv6", v2(0x21, 0x21, ipv6), IPV6_CLIENT],
    [
      "version 2, an IPv4 address as IPv6",
      v2(0x21, 0x21, Buffer.concat([Buffer.from(`${"00".repeat(10)}ffffc0000201`, "hex"), ipv6.subarray(16)])),
      { address: "::ffff:192.0.2.1", port: 50_000, family: "IPv6" },
    ],
    ["version 2, unix", v2(0x21, 0x31, unix), { path: "/run/client.sock" }],
    ["version 2, UNSPEC", v2(0x21, 0x00, Buffer.alloc(0)), undefined],
    ["version 2, LOCAL", v2(0x20, 0x00, Buffer.alloc(0)), undefined],
    ["version 2, LOCAL with addresses", v2(0x20, 0x11, ipv4), undefined],
    ["version 2, LOCAL with anything", v2(0x20, 0xff, Buffer.from("xyz")), undefined],
  ];
  for (const [name, header, client] of right) {
    test(name, () => {
      const bytes = Buffer.from(header as string, "latin1");
      const expected = client === undefined ? { size: bytes.length, client } : { size: bytes.length, client };
      expect(parseProxyHeader(sys, Buffer.concat([bytes, latin1("GET / HTTP/1.1\r\n")]))).toEqual(expected);
      // Every beginning is incomplete, until the address is known.
      for (let size = 0; size < Math.min(bytes.length, MAX_PARSED_BYTES); size++) {
        const result = parseProxyHeader(sys, bytes.subarray(0, size));
        if (result !== "incomplete") expect(result).toEqual(expected);
      }
    });
  }

  test("version 2 with extensions, which are skipped", () => {
    const tlvs = Buffer.alloc(60_000, 3);
    const header = v2(0x21, 0x11, Buffer.concat([ipv4, tlvs]));
    for (const received of [header, header.subarray(0, MAX_PARSED_BYTES), header.subarray(0, 28)]) {
      expect(parseProxyHeader(sys, received)).toEqual({ size: 16 + 12 + 60_000, client: CLIENT });
    }
  });
});

describe("rejects", () => {
  const wrong: readonly (readonly [name: string, bytes: string | Buffer])[] = [
    ["a request", "GET / HTTP/1.1\r\n"],
    ["a TLS hello", "\x16\x03\x01"],
    ["an empty line", "\r\nGET"],
    ["lower case", "proxy TCP4 192.0.2.1 192.0.2.2 50000 80\r\n"],
    ["another protocol", "PROXY UDP4 192.0.2.1 192.0.2.2 50000 80\r\n"],
    ["two spaces", "PROXY TCP4  192.0.2.1 192.0.2.2 50000 80\r\n"],
    ["a tab", "PROXY TCP4\t192.0.2.1 192.0.2.2 50000 80\r\n"],
    ["a missing port", "PROXY TCP4 192.0.2.1 192.0.2.2 50000\r\n"],
    ["a fifth field", "PROXY TCP4 192.0.2.1 192.0.2.2 50000 80 x\r\n"],
    ["a bare LF", "PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\nGET"],
    ["a bare CR", "PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\rGET"],
    ["a port above 65535", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n"],
    ["a port with a leading zero", "PROXY TCP4 192.0.2.1 192.0.2.2 050 80\r\n"],
    ["a negative port", "PROXY TCP4 192.0.2.1 192.0.2.2 -1 80\r\n"],
    ["an IPv6 address as TCP4", "PROXY TCP4 ::1 ::1 50000 80\r\n"],
    ["an IPv4 address as TCP6", "PROXY TCP6 192.0.2.1 192.0.2.2 50000 80\r\n"],
    ["an address that is none", "PROXY TCP4 192.0.2.256 192.0.2.2 50000 80\r\n"],
    ["a short address", "PROXY TCP4 127.1 192.0.2.2 50000 80\r\n"],
    ["a destination that is none", "PROXY TCP4 192.0.2.1 192.0.2 50000 80\r\n"],
    ["a scope", "PROXY TCP6 fe80::1%lo ::1 50000 80\r\n"],
    ["NUL after UNKNOWN", "PROXY UNKNOWN \0\r\n"],
    ["a line of 108 bytes", `PROXY UNKNOWN ${"x".repeat(92)}\r\n`],
    ["an endless line", `PROXY UNKNOWN ${"x".repeat(200)}`],
    ["version 1 in the form of version 2", v2(0x11, 0x11, ipv4)],
    ["version 3", v2(0x31, 0x11, ipv4)],
    ["an unknown command", v2(0x22, 0x11, ipv4)],
    ["an unknown family", v2(0x21, 0x41, ipv4)],
    ["an unknown transport", v2(0x21, 0x13, ipv4)],
    ["a family without a transport", v2(0x21, 0x10, ipv4)],
    ["IPv4 that is too short", v2(0x21, 0x11, ipv4.subarray(0, 11))],
    ["IPv6 that is too short", v2(0x21, 0x21, ipv4)],
    ["a unix address that is too short", v2(0x21, 0x31, unix.subarray(0, 215))],
  ];
  for (const [name, bytes] of wrong) {
    test(name, () => expect(parseProxyHeader(sys, Buffer.from(bytes as string, "latin1"))).toBe("malformed"));
  }
});

/** Answers with the client's address. */
const whoami = (options: EpollServerOptions = {}): FetchHarness =>
  new FetchHarness((request, server) => Response.json(server.requestIP(request)), { proxyProtocol: true, ...options });

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/** Sends pieces, each once the one before was received; returns the bodies of the responses. */
async function bodies(harness: FetchHarness, ...pieces: (string | Buffer)[]): Promise<unknown[]> {
  const client = harness.client();
  for (const piece of pieces) {
    const before = harness.server.stats.bytesIn;
    const bytes = Buffer.from(piece as string, "latin1");
    client.send(bytes);
    await harness.until(() => harness.server.stats.bytesIn === before + bytes.length);
  }
  return parseResponses(await harness.rest(client)).map(({ body }) => JSON.parse(body) as unknown);
}

test("requestIP and onRequest have the client's address, however the header is cut", () =>
  leavesNoFd(async () => {
    const peers: Address[] = [];
    using harness = whoami({ onRequest: ({ peer }) => void peers.push(peer), deferAccept: false });
    const tlvs = Buffer.alloc(1000, 1);
    const headers = [latin1(V1), v2(0x21, 0x11, ipv4), v2(0x21, 0x11, Buffer.concat([ipv4, tlvs]))];
    for (const header of headers) {
      const all = Buffer.concat([header, latin1(GET + LAST)]);
      for (const at of [0, 1, 5, 6, 12, 13, 16, 27, 28, header.length - 1, header.length, header.length + 1]) {
        const pieces = [all.subarray(0, at), all.subarray(at)].filter(({ length }) => length > 0);
        expect(await bodies(harness, ...pieces)).toEqual([CLIENT, CLIENT]);
      }
    }
    expect(new Set(peers.map((peer) => JSON.stringify(peer)))).toEqual(new Set([JSON.stringify(CLIENT)]));
  }));

test("byte by byte, with a body behind it", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(async (request) => new Response(await request.text()), {
      proxyProtocol: true,
      deferAccept: false,
    });
    const text = `${v2(0x21, 0x11, Buffer.concat([ipv4, Buffer.alloc(300)])).toString("latin1")}POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello`;
    const client = harness.client();
    for (const [i, byte] of [...text].entries()) {
      client.send(latin1(byte));
      await harness.until(() => harness.server.stats.bytesIn === i + 1);
    }
    expect(parseResponses(await harness.rest(client))[0]?.body).toBe("hello");
  }));

test("LOCAL and UNKNOWN leave the proxy's own address", () =>
  leavesNoFd(async () => {
    using harness = whoami();
    for (const header of ["PROXY UNKNOWN\r\n", v2(0x20, 0x00, Buffer.alloc(0)), v2(0x21, 0x00, Buffer.alloc(0))]) {
      expect(await bodies(harness, header, LAST)).toEqual([expect.objectContaining({ address: "127.0.0.1" })]);
    }
    expect(await bodies(harness, v2(0x21, 0x31, unix), LAST)).toEqual([null]);
  }));

test("a connection without a valid header gets 400, is closed and counted", () =>
  leavesNoFd(async () => {
    using harness = whoami();
    for (const bytes of [GET, "PROXY TCP4 x\r\n", v2(0x41, 0x11, ipv4)]) {
      const client = harness.client();
      client.send(Buffer.from(bytes as string, "latin1"));
      expect(await harness.rest(client)).toStartWith("HTTP/1.1 400 ");
      client.close();
    }
    expect(harness.server.stats).toMatchObject({ requests: 0, rejected: 3, rejectedBy: { "bad-proxy-header": 3 } });
  }));

test("a header must be complete within headerTimeoutMs, and the client then has that time for its first request", () =>
  leavesNoFd(async () => {
    using harness = whoami({ headerTimeoutMs: 1000, deferAccept: false });
    const clients = ["", "PROX", v2(0x21, 0x11, Buffer.concat([ipv4, Buffer.alloc(100)])).subarray(0, 60)].map(
      (bytes) => {
        const client = harness.client();
        if (bytes.length > 0) client.send(Buffer.from(bytes as string, "latin1"));
        return client;
      },
    );
    await harness.until(() => harness.server.stats.bytesIn === 64);
    harness.clock.ms += 999;
    await harness.idle();
    expect(harness.server.stats).toMatchObject({ open: 3, timeouts: 0 });
    harness.clock.ms += 1;
    const ends = await Promise.all(clients.map((client) => harness.rest(client)));
    expect(ends.map((text) => text.slice(9, 12))).toEqual(["", "400", "400"]);
    expect(harness.server.stats).toMatchObject({ timeouts: 3, rejectedBy: { "bad-proxy-header": 2 } });
    for (const client of clients) client.close();

    const slow = harness.client();
    await harness.until(() => harness.server.stats.open === 1);
    harness.clock.ms += 900;
    slow.send(V1);
    const { bytesIn } = harness.server.stats;
    await harness.until(() => harness.server.stats.bytesIn === bytesIn + V1.length);
    harness.clock.ms += 900;
    slow.send(LAST);
    expect(parseResponses(await harness.rest(slow))[0]?.status).toBe(200);
  }));

test("a peer that closes before or within the header is closed, and only the latter is counted", () =>
  leavesNoFd(async () => {
    using harness = whoami({ deferAccept: false });
    for (const [bytes, counted] of [
      ["", 0],
      ["PROXY", 1],
      [v2(0x21, 0x11, Buffer.concat([ipv4, Buffer.alloc(9)])).subarray(0, 30), 2],
    ] as const) {
      const client = harness.client();
      if (bytes.length > 0) client.send(Buffer.from(bytes as string, "latin1"));
      client.shutdown(1);
      await harness.rest(client);
      await harness.until(() => harness.server.stats.open === 0);
      expect(harness.server.stats.rejectedBy["bad-proxy-header"]).toBe(counted);
      client.close();
    }
    const reset = harness.client("PROXY");
    await harness.until(() => harness.server.stats.open === 1);
    reset.setLinger(0);
    reset.close();
    await harness.until(() => harness.server.stats.open === 0);
  }));

describe("from", () => {
  test("only listed peers send a header, and others cannot", () =>
    leavesNoFd(async () => {
      using harness = whoami({ hostname: "0.0.0.0", proxyProtocol: { from: ["127.0.0.2", "10.0.0.0/8"] } });
      const proxy = harness.client("", "127.0.0.2");
      proxy.send(V1 + LAST);
      expect(JSON.parse(parseResponses(await harness.rest(proxy))[0]?.body ?? "")).toEqual(CLIENT);
      const direct = harness.client("", "127.0.0.3");
      direct.send(LAST);
      expect(parseResponses(await harness.rest(direct))[0]?.body).toContain('"127.0.0.3"');
      const forged = harness.client("", "127.0.0.3");
      forged.send(V1 + LAST);
      expect(parseResponses(await harness.rest(forged))[0]?.status).toBe(501); // PROXY is not a method
      expect(harness.server.stats.rejectedBy["bad-proxy-header"]).toBe(0);
    }));

  test("networks match addresses of both families, also as mapped addresses", () =>
    leavesNoFd(async () => {
      for (const [hostname, from, isProxy] of [
        ["127.0.0.1", "127.0.0.0/8", true],
        ["127.0.0.1", "128.0.0.0/1", false],
        ["::ffff:127.0.0.1", "127.0.0.1", true],
        ["::ffff:127.0.0.1", "0.0.0.0/0", true],
        ["127.0.0.1", "::/0", false],
        ["::1", "::1", true],
        ["::1", "fd00::/8", false],
        ["::1", "0.0.0.0/0", false],
      ] as const) {
        const server = new EpollServer({
          hostname: hostname.includes(":") ? "::" : hostname,
          proxyProtocol: { from: [from] },
          fetch: () => new Response(),
        });
        await server.start();
        const url = `http://${hostname === "::1" ? "[::1]" : "127.0.0.1"}:${server.port}/`;
        const status = await fetch(url).then((response) => response.status);
        expect([hostname, from, status]).toEqual([hostname, from, isProxy ? 400 : 200]);
        await server.stop({ graceMs: 0 });
      }
    }));

  test("unix sockets", () =>
    leavesNoFd(async () => {
      const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
      try {
        for (const [options, expected] of [
          [{ from: ["unix"] }, CLIENT],
          [true, CLIENT],
          [{ from: ["0.0.0.0/0"] }, 501],
        ] as const) {
          const path = join(directory, "socket");
          const server = new EpollServer({
            unix: path,
            proxyProtocol: options as NonNullable<EpollServerOptions["proxyProtocol"]>,
            fetch: (request, handle) => Response.json(handle.requestIP(request)),
          });
          const client = new Socket(AF_UNIX);
          client.connect({ path });
          client.send(V1 + LAST);
          let text = "";
          for (let end = false; !end;) {
            server.tick(10);
            const bytes = client.recv(10_000);
            end = bytes?.length === 0;
            text += Buffer.from(bytes ?? []).toString();
          }
          const [response] = parseResponses(text);
          if (typeof expected === "number") expect(response?.status).toBe(expected);
          else expect(JSON.parse(response?.body ?? "")).toEqual(expected);
          client.close();
          const stopped = server.stop({ graceMs: 0 });
          while (!server.closed) server.tick(0);
          await stopped;
        }
      } finally {
        rmSync(directory, { recursive: true });
      }
    }));

  test("other values are rejected by name", () =>
    leavesNoFd(() => {
      for (const [value, message] of [
        [1, /proxyProtocol.*true, false or an object/],
        [{}, /proxyProtocol\.from/],
        [{ from: [] }, /at least one/],
        [{ from: "10.0.0.1" }, /proxyProtocol\.from/],
        [{ from: ["10.0.0.1"], trust: true }, /unknown properties: trust/],
        [{ from: ["10.0.0.0/33"] }, /"10\.0\.0\.0\/33"/],
        [{ from: ["::/129"] }, /"::\/129"/],
        [{ from: ["proxy.example"] }, /"proxy\.example"/],
        [{ from: ["fe80::1%lo"] }, /"fe80::1%lo"/],
        [{ from: [""] }, /entry ""/],
      ] as const) {
        expect(() => new EpollServer({ proxyProtocol: value as never })).toThrow(message);
      }
    }));
});

test("maxConnectionsPerAddress limits clients, not the proxy", () =>
  leavesNoFd(async () => {
    using harness = whoami({ maxConnectionsPerAddress: 2 });
    const connect = (address: string): Socket => harness.client(`PROXY TCP4 ${address} 192.0.2.2 50000 80\r\n${GET}`);
    const clients = [connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.7"), connect("192.0.2.7")];
    for (const client of clients) await harness.text(client, /"port":50000/);
    const fifth = connect("192.0.2.1");
    expect(await harness.rest(fifth)).toStartWith("HTTP/1.1 503 ");
    fifth.close();
    clients[0]?.close();
    await harness.until(() => harness.server.stats.open === 3);
    await harness.text(connect("192.0.2.1"), /"port":50000/);
    expect(harness.server.stats.rejectedBy["too-many-connections"]).toBe(1);
  }));

test("socket handlers see the client's address, once open is called", () =>
  leavesNoFd(async () => {
    const seen: unknown[] = [];
    using harness = new FetchHarness(undefined, {
      proxyProtocol: true,
      socket: {
        open: (socket) => void seen.push(socket.remoteAddress, socket.remotePort),
        data: (socket, bytes) => void socket.end(bytes),
      },
    } as EpollServerOptions);
    const client = harness.client(`${V1}hello`);
    expect(await harness.rest(client)).toBe("hello");
    const wrong = harness.client("hello");
    expect(await harness.rest(wrong)).toBe("");
    expect(seen).toEqual(["192.0.2.1", 50_000]);
    expect(harness.server.stats.rejectedBy["bad-proxy-header"]).toBe(1);
    wrong.close();
    client.close();
  }));

test("the parser never throws, needs few bytes, and decides the same however much it gets", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(
      V2,
      latin1("PROXY "),
      latin1(V1),
      latin1("TCP4 "),
      latin1("1.2.3.4 "),
      latin1("80\r\n"),
      latin1("UNKNOWN"),
      Buffer.from([0x21, 0x11, 0, 12]),
      ipv4,
      ipv6,
      unix,
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const bytes = Buffer.concat(pieces);
      const whole = parseProxyHeader(sys, bytes);
      if (bytes.length >= MAX_PARSED_BYTES) expect(whole).not.toBe("incomplete");
      let isDecided = false;
      for (let size = 0; size <= bytes.length; size++) {
        const part = parseProxyHeader(sys, bytes.subarray(0, size));
        if (part !== "incomplete") expect<unknown>(part).toEqual(whole);
        else expect(isDecided).toBe(false);
        isDecided ||= part !== "incomplete";
      }
    }),
    { numRuns: scaled(500, 20_000) },
  );
});

const haproxy = Bun.which("haproxy");

// Without the Debian package haproxy, there is no program that sends the headers.
test.skipIf(haproxy === null)("through HAProxy, with both versions of the header", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const server = new EpollServer({
    hostname: "127.0.0.1",
    proxyProtocol: { from: ["127.0.0.1"] },
    fetch: (request, handle) => Response.json(handle.requestIP(request)),
  });
  await server.start();
  const ports = [freePort("127.0.0.1"), freePort("127.0.0.1")] as const;
  const config = join(directory, "haproxy.cfg");
  writeFileSync(
    config,
    `defaults
  mode tcp
  timeout connect 10s
  timeout client 30s
  timeout server 30s
${["send-proxy", "send-proxy-v2"]
  .map((send, i) => `listen l${i}\n  bind 127.0.0.1:${ports[i]}\n  server s 127.0.0.1:${server.port} ${send} check\n`)
  .join("")}`,
  );
  const child = Bun.spawn([haproxy as string, "-db", "-f", config], { stdout: "ignore", stderr: "ignore" });
  try {
    for (const port of ports) {
      const { text, localPort } = await answerOf(port);
      const client = JSON.parse(parseResponses(text)[0]?.body ?? "") as unknown;
      expect(client).toEqual({ address: "127.0.0.1", port: localPort, family: "IPv4" });
    }
    expect(server.stats.rejected).toBe(0);
  } finally {
    child.kill();
    await child.exited;
    await server.stop({ graceMs: 0 });
    rmSync(directory, { recursive: true });
  }
});

/** Sends a request to a program that may still be starting. */
async function answerOf(port: number): Promise<{ text: string; localPort: number }> {
  for (;;) {
    const { promise, resolve } = Promise.withResolvers<string>();
    let text = "";
    try {
      const { localPort } = await Bun.connect({
        hostname: "127.0.0.1",
        port,
        socket: {
          open: (socket) => void socket.write(LAST),
          data: (_, bytes) => void (text += bytes.toString()),
          close: () => resolve(text),
        },
      });
      return { text: await promise, localPort };
    } catch {
      await new Promise((resume) => setImmediate(resume));
    }
  }
}
