// The curl command for a request of the trace: it sends the same request, and reveals no credentials.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { TransferEvent } from "../../src/index.ts";
import { curlCommand } from "../../src/tools/inspector/client/curl-command.ts";

setDefaultTimeout(60_000);

const recv = (bytes: string): TransferEvent => ({ type: "recv", fd: 7, wanted: 1_000, result: bytes.length, bytes });

test("from the start line alone, it uses the server's URL", () => {
  const event: TransferEvent = { type: "recv", fd: 7, wanted: 10, result: 10, line: "GET /a?b=1 HTTP/1.1" };
  expect(curlCommand(event, "http://127.0.0.1:80/")).toBe("curl 'http://127.0.0.1:80/a?b=1'");
});

test("includes the method, the fields and the body", () => {
  const event = recv("PUT /x HTTP/1.1\r\nHost: a.example:8\r\nX-Name: it's\r\nContent-Length: 3\r\n\r\na\x00b");
  expect(curlCommand(event, "")).toBe(
    "curl -X PUT 'http://a.example:8/x' -H 'X-Name: it'\\''s' --data-binary $'a\\x00b'",
  );
});

test("redacts credentials in fields and parameters, unless they are asked for", () => {
  const event = recv(
    "GET /?access_token=s3cret&q=1 HTTP/1.1\r\nHost: a\r\nCookie: id=s3cret\r\nAuthorization: Bearer s3cret\r\n\r\n",
  );
  expect(curlCommand(event, "")).toBe(
    "curl 'http://a/?access_token=<redacted 6 bytes>&q=1' -H 'Cookie: <redacted 9 bytes>' -H 'Authorization: <redacted 13 bytes>'",
  );
  expect(curlCommand(event, "", true)?.match(/s3cret/g)?.length).toBe(3);
  const line = "GET /?access_token=<redacted 6 bytes> HTTP/1.1";
  expect(curlCommand({ ...event, bytes: undefined as never, line }, "http://a")).toBe(
    "curl 'http://a/?access_token=<redacted 6 bytes>'",
  );
});

test("says that the trace lacks the rest of the request", () => {
  const comment = " # the trace has only the beginning of the request";
  expect(curlCommand(recv("GET / HTTP/1.1\r\nHost: a\r\nX-Half: val"), "")).toBe(`curl 'http://a/'${comment}`);
  expect(curlCommand(recv("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"), "")).toEndWith(comment);
});

test("there is none for anything but a request", () => {
  expect(curlCommand(recv("hello"), "")).toBeUndefined();
  expect(curlCommand({ ...recv("GET / HTTP/1.1\r\n\r\n"), type: "send" }, "")).toBeUndefined();
});

test("curl sends what the trace has", async () => {
  if (Bun.which("curl") === null) return;
  const requests: string[] = [];
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      requests.push(
        `${request.method} ${new URL(request.url).pathname} ${request.headers.get("x-a")} ${await request.text()}`,
      );
      return new Response("ok");
    },
  });
  const body = 'it\'s a "$body"\n\\ \x7f';
  const head = `POST /p HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nX-A: $HOME '\`\r\nContent-Length: ${body.length}\r\n\r\n`;
  const command = curlCommand(recv(head + body), "") ?? "";
  const child = Bun.spawn(["bash", "-c", command], { stdout: "pipe", stderr: "ignore" });
  expect(await new Response(child.stdout).text()).toBe("ok");
  expect(requests).toEqual([`POST /p $HOME '\` ${body}`]);
});
