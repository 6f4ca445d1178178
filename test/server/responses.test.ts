// Responses, in all four modes on all four kinds of address: valid HTTP/1.1, one per request, and a clean close.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { request as httpRequest } from "node:http";
import type { Address, ErrnoError } from "../../src/index.ts";
import { ask, Client, modeNames, modes } from "../support/client.ts";
import { ServerProcess } from "../support/server-process.ts";
import { type Kind, kinds, Place } from "../support/sockets.ts";

setDefaultTimeout(60_000);

const SENTENCE = "Hello from Epoll server!";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const IMF_FIXDATE =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/;
const curl = Bun.which("curl");

function listenOptions(kind: Kind, at: Place): { hostname?: string; unix?: string } {
  if (kind === "AF_INET") return { hostname: "127.0.0.1" };
  if (kind === "AF_INET6") return { hostname: "::1" };
  return { unix: (at.fresh() as { path: string }).path };
}

function urlOf(address: Address): string {
  if (!("address" in address)) return "http://localhost/";
  return `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}/`;
}

for (const kind of kinds) {
  for (const mode of modeNames) {
    const { keepAlive } = modes[mode];
    describe(`${mode}, ${kind}`, () => {
      const at = new Place(kind);
      const isAbstract = kind === "AF_UNIX abstract"; // which neither fetch nor node:http can connect to
      let server: ServerProcess;
      let address: Address;

      beforeAll(async () => {
        server = await ServerProcess.start({ ...modes[mode], ...listenOptions(kind, at) });
        ({ address } = server);
      });

      afterAll(async () => {
        await server[Symbol.asyncDispose]();
        at[Symbol.dispose]();
      });

      test("has a status line, Date, Content-Type, Content-Length and the body", () => {
        const before = Date.now();
        const { line, headers, body } = ask(address);
        expect(line).toBe("HTTP/1.1 200 OK");
        expect(headers["date"]).toMatch(IMF_FIXDATE);
        expect(Math.abs(Date.parse(headers["date"] as string) - before)).toBeLessThan(2000);
        expect(headers["content-type"]).toBe("text/plain");
        expect(headers["content-length"]).toBe(String(body.length));
        expect(headers["connection"]).toBe("close");
        expect(body).toBe(SENTENCE);
      });

      test("keeps an HTTP/1.1 connection open with keepAlive, and closes it without", () => {
        using client = new Client(address, GET);
        const { headers } = client.readResponse();
        expect(headers["connection"]).toBe(keepAlive ? undefined : "close");
        if (!keepAlive) return expect(client.rest()).toBe("");
        for (let i = 0; i < 5; i++) {
          client.send(GET);
          expect(client.readResponse().body).toBe(SENTENCE);
        }
      });

      test("closes an HTTP/1.1 connection after Connection: close", () => {
        for (const field of ["close", "Close", "foo, close", "keep-alive, close"]) {
          using client = new Client(address, GET.replace("\r\n\r\n", `\r\nConnection: ${field}\r\n\r\n`));
          expect(client.readResponse().headers["connection"]).toBe("close");
          expect(client.rest()).toBe("");
        }
      });

      test("closes an HTTP/1.0 connection, unless it asks for keep-alive", () => {
        using plain = new Client(address, "GET / HTTP/1.0\r\n\r\n");
        expect(plain.readResponse().body).toBe(SENTENCE);
        expect(plain.rest()).toBe("");
        using kept = new Client(address);
        for (let i = 0; i < 3; i++) {
          kept.send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
          expect(kept.readResponse().headers["connection"]).toBe(keepAlive ? "keep-alive" : "close");
          if (!keepAlive) return expect(kept.rest()).toBe("");
        }
      });

      test("sends one response for each pipelined request, in order, then closes", () => {
        using client = new Client(address, GET.repeat(20) + GET.replace("GET", "HEAD") + "GET / HTTP/1.0\r\n\r\n");
        for (let i = 0; i < (keepAlive ? 20 : 1); i++) expect(client.readResponse().body).toBe(SENTENCE);
        if (keepAlive) {
          expect(client.readResponse(true).headers["content-length"]).toBe(String(SENTENCE.length));
          expect(client.readResponse().headers["connection"]).toBe("close");
        }
        expect(client.rest()).toBe("");
      });

      test("responds to HEAD with the same head and no body", () => {
        const head = ask(address, "HEAD / HTTP/1.0\r\n\r\n");
        const { headers } = ask(address, "GET / HTTP/1.0\r\n\r\n");
        expect({ ...head.headers, date: "" }).toEqual({ ...headers, date: "" });
      });

      test("responds once to a POST: its body is not a second request", () => {
        const body = `${GET}${GET}`;
        using client = new Client(
          address,
          `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
        expect(client.readResponse().headers["connection"]).toBe(keepAlive ? undefined : "close");
        if (keepAlive) {
          client.send("GET / HTTP/1.0\r\n\r\n");
          expect(client.readResponse().headers["connection"]).toBe("close");
        }
        expect(client.rest()).toBe("");
      });

      test("a request body of 1 MB: the response can be read, whatever happens to the body", () => {
        using client = new Client(address, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
        const send = (): void => client.send(Buffer.alloc(1_000_000, "b"));
        if (modes[mode].eager) {
          send(); // it is received and discarded
          expect(client.readResponse().body).toBe(SENTENCE);
          client.end();
          expect(client.rest()).toBe("");
        } else {
          // The classic loop shuts down both directions immediately: the client may not be able to send everything.
          try {
            send();
          } catch (error) {
            expect(["EPIPE", "ECONNRESET"]).toContain((error as ErrnoError).code);
          }
          expect(client.readResponse().body).toBe(SENTENCE);
        }
      });

      test.skipIf(isAbstract)("fetch accepts the response", async () => {
        const unix = "path" in address ? { unix: address.path } : {};
        for (const init of [{}, { method: "POST", body: "x".repeat(100_000) }]) {
          const response = await fetch(urlOf(address), { ...init, ...unix, signal: AbortSignal.timeout(20_000) });
          expect({ status: response.status, text: await response.text() }).toEqual({ status: 200, text: SENTENCE });
        }
      });

      test.skipIf(isAbstract)("node:http accepts the response", async () => {
        const where =
          "address" in address
            ? { host: address.address, port: address.port }
            : { socketPath: "path" in address ? address.path : "" };
        const text = await new Promise<string>((resolve, reject) => {
          const request = httpRequest({ ...where, agent: false }, (response) => {
            let text = "";
            response.on("data", (bytes: Buffer) => (text += String(bytes)));
            response.on("end", () => resolve(text));
          });
          request.on("error", reject);
          request.end();
        });
        expect(text).toBe(SENTENCE);
      });

      test.skipIf(curl === null)(
        "curl accepts the response, twice on one connection and with a request body",
        async () => {
          const unix = "path" in address ? address.path : "";
          const how = unix === "" ? [] : ["--unix-socket", unix];
          if (unix.startsWith("\0")) how.splice(0, 2, "--abstract-unix-socket", unix.slice(1));
          const url = urlOf(address);
          for (const more of [[url], ["-d", "x".repeat(100_000)], ["-0"]]) {
            const command = [curl as string, "-sS", "--noproxy", "*", "-m", "20", ...how, url, ...more];
            const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
            const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
            const expected = SENTENCE.repeat(more[0] === url ? 2 : 1);
            expect({ stdout, stderr, code: await child.exited }).toEqual({ stdout: expected, stderr: "", code: 0 });
          }
        },
      );
    });
  }
}
