// bun --hot: after a reload, the new code's server takes over the socket, and no client is refused.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AddressLike } from "../../src/index.ts";
import { ask, Client } from "../support/client.ts";
import { endPrograms, type Program, root, start } from "../support/programs.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

let folder = "";
afterEach(async () => {
  await endPrograms();
  if (folder !== "") rmSync(folder, { recursive: true });
  folder = "";
});

const index = JSON.stringify(join(root, "src", "index.ts"));

class HotProgram {
  readonly #file: string;
  readonly #code: (version: number) => string;
  version = 1;
  readonly program: Program;

  /** `code` returns the text of a version of the program. */
  constructor(code: (version: number) => string) {
    folder ||= mkdtempSync(join(tmpdir(), "epoll-hello-"));
    this.#file = join(folder, "app.ts");
    this.#code = code;
    this.#write();
    this.program = start(["bun", "--hot", "--no-clear-screen", this.#file]);
  }

  #write(): void {
    writeFileSync(this.#file, `import { EpollServer } from ${index};\n${this.#code(this.version)}\n`);
  }

  /** Writes the next version, and waits until it is loaded. */
  async reload(): Promise<void> {
    this.version++;
    this.#write();
    await this.program.output(new RegExp(`^loaded ${this.version}( |\n)`, "m"));
  }

  get fds(): number {
    return readdirSync(`/proc/${this.program.pid}/fd`).length;
  }
}

function serving(options: string): (version: number) => string {
  return (version) => `
    const server = new EpollServer({ ${options}, fetch: async (request) => {
      if (request.method === "POST") console.log("begun");
      await request.text();
      return new Response("v${version}");
    } });
    await server.start();
    console.log("loaded ${version} " + server.port);`;
}

const RELOADS = 20;

for (const [what, options] of [
  ["a port", 'hostname: "127.0.0.1", port: 0'],
  ["localhost", "port: 0"],
  ["a unix socket", ""],
] as const) {
  test(`${what}: ${RELOADS} reloads refuse no client, and leave no fd open`, async () => {
    folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
    const path = join(folder, "socket");
    const hot = new HotProgram(serving(options === "" ? `unix: ${JSON.stringify(path)}` : options));
    const [, port] = await hot.program.output(/^loaded 1 (\w+)\n/m);
    const address = (options === "" ? { path } : { address: "127.0.0.1", port: Number(port) }) as AddressLike;
    const get = (): string => ask(address as Parameters<typeof ask>[0]).body;
    expect(get()).toBe("v1");
    let isOver = false;
    let requests = 0;
    const load = (async () => {
      for (; !isOver; requests++) {
        expect(get()).toMatch(/^v\d+$/);
        await Bun.sleep(1);
      }
    })();
    await hot.reload();
    const before = await eventually(
      () => hot.fds,
      () => true,
    );
    for (let i = 0; i < RELOADS; i++) {
      await hot.reload();
      expect(get()).toBe(`v${hot.version}`);
    }
    isOver = true;
    await load;
    expect(requests).toBeGreaterThan(0);
    expect(hot.program.stdout.match(/loaded \d+ \w+/g)?.every((line) => line.endsWith(` ${port}`))).toBe(true);
    await eventually(
      () => hot.fds,
      (fds) => fds <= before + 1,
    ); // a connection of the last request
    expect(hot.program.stderr).toBe("");
    if (options === "") expect(existsSync(path)).toBe(true);
  });
}

test("the previous server finishes its requests", async () => {
  const hot = new HotProgram(serving('hostname: "127.0.0.1", port: 0'));
  const [, port] = await hot.program.output(/^loaded 1 (\d+)\n/m);
  const at = { address: "127.0.0.1", port: Number(port), family: "IPv4" } as const;
  using client = new Client(at, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  await hot.program.output(/^begun\n/m);
  await hot.reload();
  expect(ask(at).body).toBe("v2");
  client.send("cd");
  expect(client.readResponse().body).toBe("v1");
  expect(client.fate()).toBe("end");
});

test("two servers of the same version on one port: EADDRINUSE", async () => {
  const hot = new HotProgram(
    (version) => `
      const server = new EpollServer({ hostname: "127.0.0.1" });
      await server.start();
      try { new EpollServer({ hostname: "127.0.0.1", port: server.port }); } catch (error) { console.log(error.code); }
      console.log("loaded ${version}");`,
  );
  await hot.program.output(/^EADDRINUSE\nloaded 1\n/m);
  await hot.reload();
  expect(hot.program.stdout).toEndWith("EADDRINUSE\nloaded 2\n");
});

test("without --hot, a second server on the port: EADDRINUSE", async () => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const file = join(folder, "app.ts");
  writeFileSync(
    file,
    `import { EpollServer } from ${index};
    const server = new EpollServer({ hostname: "127.0.0.1" });
    try { new EpollServer({ hostname: "127.0.0.1", port: server.port }); } catch (error) { console.log(error.code); }
    await server.stop();`,
  );
  await start(["bun", file]).output(/^EADDRINUSE\n$/);
});
