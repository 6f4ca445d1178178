// mergeOptions(): the address of the command line, else the app's, else the default.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { EpollServerOptions } from "../../src/index.ts";
import { addressOptions, mergeOptions } from "../../src/server/merge-options.ts";

setDefaultTimeout(60_000);

const defaults = { hostname: "localhost", port: 8800 };

test.each<[app: EpollServerOptions, flags: EpollServerOptions, merged: EpollServerOptions]>([
  [{}, {}, { hostname: "localhost", port: 8800 }],
  [{ port: 3000 }, {}, { hostname: "localhost", port: 3000 }],
  [{ port: 3000, hostname: "::1" }, { port: 1 }, { hostname: "::1", port: 1 }],
  [{ port: undefined }, { port: undefined }, { hostname: "localhost", port: 8800 }],
  [{ unix: "/a" }, {}, { unix: "/a" }],
  [{ unix: "/a" }, { port: 1 }, { hostname: "localhost", port: 1 }],
  [{ port: 3000, hostname: "::1" }, { unix: "/b" }, { unix: "/b" }],
  [{ fd: 3 }, {}, { fd: 3 }],
  [{ unix: "/a" }, { fd: 3 }, { fd: 3 }],
  [{ port: 1, backlog: 7, reusePort: true, deferAccept: false }, { fd: 3 }, { fd: 3 }],
  [{ port: 1, backlog: 7, reusePort: true }, { unix: "/b" }, { unix: "/b", backlog: 7 }],
  [{ port: 1, backlog: 7, reusePort: true }, {}, { hostname: "localhost", port: 1, backlog: 7, reusePort: true }],
  [{ fd: 3 }, { deferAccept: false }, { fd: 3 }],
  [{}, { fd: 3, deferAccept: false }, { fd: 3 }],
  [{ keepAlive: true, idleTimeoutMs: 5 }, { keepAlive: false }, { ...defaults, keepAlive: false, idleTimeoutMs: 5 }],
])("app %j, command line %j: %j", (app, flags, merged) => {
  expect(mergeOptions(app, flags, defaults)).toEqual(merged);
});

test("addressOptions() names the address options that are set", () => {
  expect(addressOptions({ port: 0, unix: undefined, keepAlive: true })).toEqual(["port"]);
  expect(addressOptions({ hostname: "::1", port: 1 })).toEqual(["hostname", "port"]);
});
