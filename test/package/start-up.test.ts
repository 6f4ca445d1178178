// What a server loads until its first response. Each file costs time at every start, so that adding one must be intended.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import type { LoadedModules } from "../support/loaded-modules.ts";
import { cli, endPrograms, root, start } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const preload = join(root, "test", "support", "loaded-modules.ts");

/** Starts a server, makes a request, stops the server unless it ends by itself, and returns what it has loaded. */
async function loadedBy(command: string[], doesEnd = false): Promise<LoadedModules> {
  const program = start(["bun", "--preload", preload, ...command]);
  const [, port] = await program.output(/(\d+)\D*\n/);
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("Hello from Epoll server!");
  if (!doesEnd) program.kill("SIGTERM");
  await program.exited;
  return JSON.parse(program.stderr.trimEnd().split("\n").at(-1) ?? "") as LoadedModules;
}

/** Returns the names of the files in the repository by folder, and for a dependency by the name of its package. */
function byFolder(files: readonly string[]): Record<string, string[]> {
  const paths = files.map((file) => relative(root, file)).filter((path) => !/^(\.\.|test)\//.test(path));
  const names = Map.groupBy(paths.toSorted(), (path) => /^node_modules\/[^/]+/.exec(path)?.[0] ?? dirname(path));
  return Object.fromEntries(
    [...names].map(([folder, files]) => [folder, files.map((file) => basename(file, ".ts")).toSorted()]),
  );
}

/** Splits the text of a template into file names. */
const list = ({ raw }: TemplateStringsArray): string[] => raw.join("").trim().split(/\s+/).toSorted();

/** What a server loads in this repository. The packed library is two bundles. */
const library = {
  native: list`bridge-thread.c shim.c signals.c`,
  src: list`index`,
  "src/event-loop": list`bridge-thread loop-bridge watch-registry watch`,
  "src/io": list`
    descriptor epoll event-list eventfd inotify interfaces memfd message-batch owned-fd pidfd signals
    socket-messages socket-options socket timerfd transfer`,
  "src/kernel": list`
    address byte-arrays clock constants control-messages errno errors escape-controls fd ffi free-fds free-memory format-mask format-path int-options
    integers jsc node-fs path-bytes requirements siginfo signal-names suggest tcp-info token-counter`,
  "src/protocols": list`buffer-budget`,
  "src/protocols/http": list`
    application body-buffers body-kind body-source body-writer buffer-sizes byte-ranges chunked-decoder client-gone confined-file date-header direct-source direct-streams
    exchange fast-path file-response file-source handler-runner http-connection http-context http-date http-protocol input-buffer
    input-state llhttp multipart-source native-request normalize-head plain-head plain-head-wasm preconditions read-head rejection request-body request-head request-headers request-info request-input request-target
    response-batch response-head-cache response-head response-sender response server-request server-responses
    static-response status-codes text-source unread-body validate-fields`,
  "src/protocols/socket": list`output-bytes server-socket`,
  "src/serve": list`serve`,
  "src/server": list`
    accept-throttle bun-loop-driver connection-state connection-table connection hot-reload listeners
    optional-protocols resolve-options run-loop server shutdown stop-signals systemd timeouts tokens`,
  "src/trace": list`
    compare-masks create-tracer events explain-readiness fd-info format interest-list kernel-queries trace-file validate-event`,
};

test("a server loads these files, and no others", async () => {
  const program = join(directory, "server.ts");
  writeFileSync(
    program,
    `import { EpollServer } from ${JSON.stringify(join(root, "src", "index.ts"))};
     const server = new EpollServer({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("Hello from Epoll server!") });
     console.log(server.port);
     while (server.stats.requests === 0) server.tick();
     process.exit();`,
  );
  const { files, builtins } = await loadedBy([program], true);
  expect(byFolder(files)).toEqual(library);
  expect(builtins.toSorted()).toEqual(["bun:ffi", "bun:jsc", "node:stream/web"]);
});

test("the command loads these files in addition", async () => {
  const { files, builtins } = await loadedBy([cli, "--host", "127.0.0.1", "--port", "0"]);
  const kernel = [...library["src/kernel"], "package-root"].toSorted();
  expect(byFolder(files)).toEqual({
    ...library,
    ".": ["package.json"],
    "node_modules/undici": ["llhttp_simd-wasm.js"], // after the response
    "src/kernel": kernel,
    "src/server": [...library["src/server"], "describe-error", "merge-options", "run-until-stopped"].toSorted(),
    "src/tools": ["table"],
    "src/tools/cli": list`
    app-address bunx color command-line exit-codes flags format listen logger main parse-arguments proc-file
    self-exec signals stdout systemd validate`,
    "src/tools/cli/commands": ["serve"],
    "src/tools/comparison": ["limits"],
    "src/workers": ["worker-task"],
  });
  expect(builtins.toSorted()).toEqual(["bun:ffi", "bun:jsc", "node:util"]);
});

test("they import only modules of Bun that cost nothing", async () => {
  const { files } = await loadedBy([cli, "--host", "127.0.0.1", "--port", "0"]);
  const sources = files.filter((file) => file.startsWith(join(root, "src")));
  const imported = sources.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/^(?:import (?!type)|\} from ).*"((?:node|bun):[^"]+)"/gm)].map(
      ([, name]) => name,
    ),
  );
  expect([...new Set(imported)].toSorted()).toEqual(["node:buffer", "node:os", "node:path"]);
});
