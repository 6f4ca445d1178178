// --health, --metrics and --proxy-protocol, also with workers.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { cli, endPrograms, run, start } from "../support/programs.ts";
import { startWorkers } from "../support/workers.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const HEADER = "PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\n";
const REQUEST = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async function serve(...flags: string[]): Promise<{ program: ReturnType<typeof start>; port: number }> {
  const program = start(["bun", cli, "--host", "127.0.0.1", "--port", "0", ...flags]);
  const [, port] = await program.output(/^listening on http:\/\/\S+:(\d+) /m);
  return { program, port: Number(port) };
}

/** Sends bytes, and returns everything until the server closes. */
async function exchange(port: number, text: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(text),
      data: (_, bytes) => void (received += bytes.toString()),
      close: () => resolve(received),
    },
  });
  return await promise;
}

test("--health and --metrics respond at their paths, and everything else as without them", async () => {
  const { port } = await serve("--health", "/healthz", "--metrics", "/m");
  const get = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  expect(await get("/")).toBe("Hello from Epoll server!");
  expect(await get("/healthz")).toBe("ok\n");
  expect(await get("/m")).toContain('\nepoll_hello_http_requests_total{status="2xx"} 2\n');
});

test("--proxy-protocol reads the client's address, from listed peers or from all", async () => {
  for (const flag of ["--proxy-protocol", "--proxy-protocol=10.0.0.0/8,127.0.0.1"]) {
    const { program, port } = await serve(flag);
    expect(await exchange(port, HEADER + REQUEST)).toStartWith("HTTP/1.1 200 ");
    await program.output(/^192\.0\.2\.1:50000 {2}GET \/a HTTP\/1\.1 {2}200$/m);
    expect(await exchange(port, REQUEST)).toStartWith("HTTP/1.1 400 ");
  }
  const { port } = await serve("--proxy-protocol=10.0.0.0/8");
  expect(await exchange(port, REQUEST)).toStartWith("HTTP/1.1 200 ");
});

test("--workers passes them on, and labels the metrics of each worker with its pid", async () => {
  const { port, pids, program } = await startWorkers(2, "--metrics", "/m", "--health", "/h", "--proxy-protocol");
  const seen = new Set<number>();
  while (seen.size < 2) {
    const text = await exchange(port, HEADER + REQUEST.replace("/a", "/m"));
    const pid = Number(/^epoll_hello_http_requests_total\{pid="(\d+)",status="2xx"\} \d+$/m.exec(text)?.[1]);
    expect(pids()).toContain(pid);
    seen.add(pid);
  }
  expect(await exchange(port, HEADER + REQUEST.replace("/a", "/h"))).toEndWith("\r\n\r\nok\n");
  await program.output(/^192\.0\.2\.1:50000 {2}GET \/h HTTP\/1\.1 {2}200$/m);
});

test("wrong values are rejected", async () => {
  for (const [flags, message] of [
    [["--health", "healthz"], '--health must be a path such as "/healthz"'],
    [["--metrics"], '--metrics requires a value (a path such as "/metrics")'],
    [["--metrics", "/a?b"], 'metrics is "/a?b"; it must be a path without a query'],
    [["--health", "/a", "--metrics", "/a"], 'both are "/a"'],
    [["--classic", "--health", "/a"], "--classic cannot be used with --health"],
    [["--proxy-protocol=localhost"], 'proxyProtocol.from has the entry "localhost"'],
  ] as const) {
    const { code, stderr } = await run(["bun", cli, "--port", "0", ...flags]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  }
});
