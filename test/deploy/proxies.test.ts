// HAProxy and nginx in front of the app, with the configurations of examples/deploy.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { endPrograms, start } from "../support/programs.ts";
import { freePort } from "../support/sockets.ts";
import { Configuration, startApp, untilServing } from "./deployed.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

// The Debian packages haproxy, nginx-light and libnginx-mod-stream.
const path = `${process.env["PATH"]}:/usr/sbin`;
const haproxy = Bun.which("haproxy", { PATH: path });
const nginx = Bun.which("nginx", { PATH: path });
const hasStream = existsSync("/usr/lib/nginx/modules/ngx_stream_module.so");

const REQUESTS = 40;

interface Answer {
  client: string;
  forwardedFor: string | null;
}

/** Sends requests on connections of their own. Returns the distinct answers. */
async function ask(port: number): Promise<Answer[]> {
  const answers = new Map<string, Answer>();
  for (let i = 0; i < REQUESTS; i++) {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { Connection: "close" }, keepalive: false });
    expect(response.status).toBe(200);
    const { client, forwardedFor } = (await response.json()) as Answer;
    answers.set(`${client} ${forwardedFor}`, { client, forwardedFor });
  }
  return [...answers.values()];
}

async function accepted(appPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${appPort}/metrics`, { keepalive: false })).text();
  return Number(/^epoll_hello_connections_accepted_total(?:\{.*\})? (\d+)$/m.exec(text)?.[1]);
}

async function echo(port: number): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.addEventListener("open", () => socket.send("through the proxy"));
  socket.addEventListener("message", ({ data }) => resolve(String(data)));
  socket.addEventListener("error", () => reject(new Error("the WebSocket has failed")));
  const text = await promise;
  socket.close();
  return text;
}

/** HTTP proxies: many clients share few connections, the client's address is a header, and WebSockets pass. */
async function expectHttpProxy(port: number, appPort: number): Promise<void> {
  await untilServing(port);
  const before = await accepted(appPort);
  expect(await ask(port)).toEqual([{ client: "127.0.0.1", forwardedFor: "127.0.0.1" }]);
  expect((await accepted(appPort)) - before).toBeLessThan(REQUESTS / 2);
  expect(await echo(port)).toBe("through the proxy");
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(403);
}

/** TCP proxies: the app knows the client's address from the PROXY protocol, without a header. */
async function expectTcpProxy(port: number): Promise<void> {
  await untilServing(port);
  expect(await ask(port)).toEqual([{ client: "127.0.0.1", forwardedFor: null }]);
  expect(await echo(port)).toBe("through the proxy");
}

test.skipIf(haproxy === null)("HAProxy: keep-alive, WebSockets and the PROXY protocol", async () => {
  const [plain, proxied] = await Promise.all([startApp(), startApp("--proxy-protocol=127.0.0.1")]);
  const [http, tcp] = [freePort("127.0.0.1"), freePort("127.0.0.1")];
  const ports = {
    "127.0.0.1:8801": plain.port,
    "127.0.0.1:8802": proxied.port,
    "127.0.0.1:8082": http,
    "127.0.0.1:8083": tcp,
  };
  using config = new Configuration("haproxy.cfg", withHost(ports));
  const proxy = start([haproxy as string, "-W", "-db", "-f", config.path]);
  await expectHttpProxy(http, plain.port);
  await expectTcpProxy(tcp);
  proxy.kill("SIGTERM");
  await proxy.exited;
});

test.skipIf(nginx === null)("nginx: keep-alive and WebSockets", async () => {
  const app = await startApp();
  const port = freePort("127.0.0.1");
  using config = new Configuration("nginx.conf", {
    ...withHost({ "127.0.0.1:8801": app.port, "127.0.0.1:8080": port }),
    "/run/nginx-app.pid": "{directory}/nginx.pid",
    "worker_rlimit_nofile 65536": "worker_rlimit_nofile 1024",
    "worker_connections 16384": "worker_connections 512",
  });
  start([nginx as string, "-c", config.path, "-e", "stderr", "-g", "daemon off;"]);
  await expectHttpProxy(port, app.port);
});

test.skipIf(nginx === null || !hasStream)("nginx as a TCP proxy: the PROXY protocol and WebSockets", async () => {
  const app = await startApp("--proxy-protocol=127.0.0.1");
  const port = freePort("127.0.0.1");
  using config = new Configuration("nginx-stream.conf", {
    ...withHost({ "127.0.0.1:8802": app.port, "127.0.0.1:8081": port }),
    "/run/nginx-stream-app.pid": "{directory}/nginx.pid",
    "worker_connections 16384": "worker_connections 512",
  });
  start([nginx as string, "-c", config.path, "-e", "stderr", "-g", "daemon off;"]);
  await expectTcpProxy(port);
});

function withHost(ports: Record<string, number>): Record<string, string> {
  return Object.fromEntries(Object.entries(ports).map(([address, port]) => [address, `127.0.0.1:${port}`]));
}
