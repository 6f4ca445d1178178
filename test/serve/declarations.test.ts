// Everything that the declarations of bun-types say of Bun.serve exists here, and is in the tables of the documentation.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { serve } from "../../src/index.ts";
import { ServerWebSocket } from "../../src/protocols/websocket/server-websocket.ts";
import { resolveWebSocketOptions } from "../../src/protocols/websocket/websocket-options.ts";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

const declarations = readFileSync(join(root, "node_modules", "bun-types", "serve.d.ts"), "utf8").replace(
  /\/\*[^]*?\*\/|\/\/.*/g,
  "",
);
const guide = readFileSync(join(root, "docs", "moving-from-bun-serve.md"), "utf8");

/** Returns the text between the braces that open at or after `at`. */
function block(text: string, at: number): string {
  const start = text.indexOf("{", at);
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return text.slice(start + 1, i);
  }
  throw new Error(`no end of the block at ${at}`);
}

/** Removes everything that is nested in brackets. */
function flat(text: string): string {
  let left = text.replaceAll("=>", "");
  for (let length = -1; length !== left.length;) {
    length = left.length;
    left = left.replace(/\([^(){}[\]<>]*\)|\{[^(){}[\]<>]*\}|\[[^(){}[\]<>]*\]|<[^(){}[\]<>]*>/g, "#");
  }
  return left;
}

/** Returns the names of the members of an interface, or of all object types in the declaration of a type. */
function membersOf(declaration: string): string[] {
  const at = declarations.search(new RegExp(`\\b(?:interface|type) ${declaration}\\b`));
  if (at < 0) throw new Error(`bun-types does not declare ${declaration}`);
  const isInterface = declarations.startsWith("interface", at);
  const end = declarations.slice(at).search(/\n {2,4}(?:interface|type|namespace|function) /);
  const bodies = isInterface
    ? [block(declarations, at)]
    : [...declarations.slice(at, end < 0 ? undefined : at + end).matchAll(/\{(?=\s*\n)/g)].map(({ index }) =>
        block(declarations, at + index),
      );
  const names = bodies.flatMap((body) =>
    [...flat(body).matchAll(/^\s*(?:readonly )?(\w+)\??\s*[#:]/gm)].map(([, name]) => name as string),
  );
  return [...new Set(names)];
}

/** Returns the rows of a table of the guide: what is in the first column, and whether it is the same here. */
function tableOf(heading: string): { names: Set<string>; kinds: Set<string> } {
  const section = guide.slice(guide.indexOf(`\n## ${heading}\n`) + 1).split(/\n(?=## )/, 1)[0] as string;
  const rows = [...section.matchAll(/^\| (`.*?) \| (\w+) +\| (.*) \|$/gm)];
  const names = rows.flatMap(([, first = ""]) => [...first.matchAll(/`([\w.]+)/g)].map(([, name]) => name as string));
  return { names: new Set(names), kinds: new Set(rows.map(([, , kind = ""]) => kind)) };
}

const fetch = (): Response => new Response("");

const OPTIONS = [
  ...membersOf("BaseServeOptions"),
  ...membersOf("HostnamePortServeOptions"),
  ...membersOf("UnixServeOptions"),
  ...membersOf("FetchOrRoutes"),
  ...membersOf("FetchOrRoutesWithWebSocket"),
];

test("the declarations are read completely", () => {
  expect(new Set(OPTIONS)).toEqual(
    new Set(
      "tls maxRequestBodySize development error id hostname port reusePort ipv6Only http1 http2 http3 idleTimeout unix fetch routes websocket".split(
        " ",
      ),
    ),
  );
  expect(membersOf("Server").length).toBeGreaterThanOrEqual(19);
  expect(membersOf("ServerWebSocket").length).toBeGreaterThanOrEqual(21);
  expect(membersOf("WebSocketHandler").length).toBeGreaterThanOrEqual(15);
});

describe("options", () => {
  const { names, kinds } = tableOf("Options");
  for (const name of new Set(OPTIONS)) {
    test(`${name} is in the table, and known`, async () => {
      expect(names).toContain(name);
      try {
        const options = { hostname: "127.0.0.1", port: 0, fetch, [name]: name === "fetch" ? fetch : [] };
        await serve(options as unknown as Parameters<typeof serve>[0]).stop(true);
      } catch (error) {
        expect((error as Error).message).not.toContain("unknown option"); // it has the wrong type, or is rejected with a reason
      }
    });
  }

  test("each is the same, different or missing", () => {
    expect([...kinds].filter((kind) => !["same", "different", "missing"].includes(kind))).toEqual([]);
  });
});

describe("kinds of routes", () => {
  const { names } = tableOf("Routes");
  const section = guide.slice(guide.indexOf("\n## Routes\n"), guide.indexOf("\n## The server object\n"));
  test("each is in the table", () => {
    const union = /type BaseRouteValue = ([^;]+);/
      .exec(declarations)?.[1]
      ?.split("|")
      .map((kind) => kind.trim());
    expect(union).toEqual(["Response", "false", "HTMLBundle", "BunFile", "DirectoryRouteOptions"]);
    for (const text of ["a Response", "`false`", "HTML imports", "`Bun.file()`", "`{ dir }`"]) {
      expect(section).toContain(text);
    }
    for (const name of membersOf("BunRequest").filter((member) => member !== "clone")) {
      expect(section).toContain(`request.${name}`);
    }
    expect(names).toContain("false");
    for (const option of membersOf("DirectoryRouteOptions")) expect(section).toContain(option);
  });
});

test("each member of the server object exists, and is in the table", async () => {
  const { names, kinds } = tableOf("The server object");
  const server = serve({ hostname: "127.0.0.1", port: 0, fetch });
  for (const name of membersOf("Server")) {
    expect(name in server ? name : `${name} is missing`).toBe(name);
    expect(names).toContain(name);
  }
  expect([...kinds].filter((kind) => !["same", "different", "missing", "addition"].includes(kind))).toEqual([]);
  await server.stop(true);
});

test("each member of a ServerWebSocket exists", () => {
  const ofClass = new Set(Object.getOwnPropertyNames(ServerWebSocket.prototype));
  // `data` is a property of each instance.
  expect(membersOf("ServerWebSocket").filter((name) => name !== "data" && !ofClass.has(name))).toEqual([]);
});

test("each handler and setting of WebSockets is known", () => {
  for (const name of membersOf("WebSocketHandler")) {
    expect(() => resolveWebSocketOptions({ [name]: undefined })).not.toThrow();
  }
  expect(() => resolveWebSocketOptions({ unheardOf: undefined })).toThrow();
});
