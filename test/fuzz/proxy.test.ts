// Random PROXY headers before a request: accepted or rejected the same way however they are cut, and the request is answered once.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { leavesNoFd } from "../support/fds.ts";
import { fuzz, isFuzzRun } from "../support/fuzzing.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);
if (isFuzzRun) setDefaultTimeout(10_000_000);

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
const REQUEST = latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n");

const address = fc.constantFrom("192.0.2.1", "0.0.0.0", "255.255.255.255", "256.0.0.1", "1.2.3", "2001:db8::1", "::", "::ffff:1.2.3.4", "::1%lo", "", "1.2.3.4\0", "01.2.3.4"); // prettier-ignore
const port = fc.constantFrom("0", "80", "65535", "65536", "99999", "-1", "", "080", "8 0");
const v1 = fc
  .tuple(
    fc.constantFrom("TCP4", "TCP6", "TCP4", "TCP6", "UNKNOWN", "UDP4", "tcp4"),
    address,
    address,
    port,
    port,
    fc.constantFrom("\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n"),
  ) // prettier-ignore
  .map(([family, ...rest]) => latin1(`PROXY ${family} ${rest.slice(0, 4).join(" ")}${rest[4]}`));
const v2 = fc
  .record({
    command: fc.constantFrom(0x20, 0x21, 0x21, 0x21, 0x22, 0x11),
    family: fc.constantFrom(0x00, 0x11, 0x11, 0x12, 0x21, 0x31, 0x41, 0xff),
    rest: fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(12, 36, 216, 300).map((size) => new Uint8Array(size))), // prettier-ignore
    lie: fc.constantFrom(0, 0, 0, 0, -1, 1, 1000),
  })
  .map(({ command, family, rest, lie }) => {
    const length = Math.max(0, rest.length + lie);
    return Buffer.concat([latin1("\r\n\r\n\0\r\nQUIT\n"), Buffer.from([command, family, length >> 8, length & 255]), rest]); // prettier-ignore
  });
const header = fc.oneof({ weight: 4, arbitrary: v1 }, { weight: 4, arbitrary: v2 }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) }); // prettier-ignore

/** Sends the bytes in pieces. Returns the client that the handler saw, the statuses, and whether the connection is open. */
function outcomeOf(bytes: Buffer, cuts: readonly number[]): { peers: string[]; statuses: string; isOpen: boolean } {
  const peers: string[] = [];
  using harness = new ServerHarness({
    proxyProtocol: true,
    fetch(request, server) {
      const peer = server.requestIP(request);
      peers.push(peer === null ? "none" : peer.address === "127.0.0.1" ? "itself" : `${peer.address} ${peer.port}`);
      return new Response("ok");
    },
  });
  const client = harness.client();
  let start = 0;
  for (const end of [...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b), bytes.length]) {
    if (end <= start) continue;
    try {
      client.send(bytes.subarray(start, end));
    } catch {
      break; // the server has rejected the header
    }
    start = end;
    harness.settle();
  }
  const text = Buffer.from(client.recv(100_000) ?? []).toString("latin1");
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status).join();
  return { peers, statuses, isOpen: harness.fate(client) === "open" };
}

test("a header is accepted or rejected the same way however it is cut, and the request after it is answered once", () =>
  leavesNoFd(() =>
    fuzz(
      "proxy",
      fc.property(header, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }), (bytes, cuts) => {
        const all = Buffer.concat([bytes, REQUEST]);
        const whole = outcomeOf(all, []);
        expect(outcomeOf(all, cuts)).toEqual(whole);
        // Answered; rejected, also because the header announces more bytes than it has; or incomplete.
        expect(["200", "400", "501", ""]).toContain(whole.statuses);
        expect(whole.isOpen).toBe(whole.statuses === "200" || whole.statuses === "");
        expect(whole.peers).toHaveLength(whole.statuses === "200" ? 1 : 0);
      }),
      200,
    ),
  ));
