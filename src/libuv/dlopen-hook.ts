// Replaces process.dlopen, through which Bun loads every native addon, to connect those that need libuv.
//
// Loading this file costs little: whatever a program without such an addon does not need is loaded on first use.

import { ATTACH } from "./worker-preload.ts";

type AddonConnector = typeof import("./addon-connector.ts");
type Dlopen = (module: object, path: string, ...rest: unknown[]) => void;

let connector: AddonConnector | undefined;
let original: Dlopen | undefined;

/** Returns the part that opens libuv, which takes some milliseconds on first use. */
export function addonConnector(): AddonConnector {
  return (connector ??= require("./addon-connector.ts") as AddonConnector);
}

/** Returns the part that opens libuv, unless nothing has used it yet. */
export function loadedConnector(): AddonConnector | undefined {
  return connector;
}

/**
 * Connects each addon that is loaded from now on, if it needs functions of libuv that Bun lacks. Returns whether the hook is
 * installed: not in Node.js, not on other platforms, where addons need no help, and not if `EPOLL_HELLO_LIBUV` is `off`.
 */
export function installDlopenHook(): boolean {
  if (original !== undefined) return true;
  if (process.platform !== "linux" || process.versions.bun === undefined) return false;
  if (process.env["EPOLL_HELLO_LIBUV"] === "off") return false;
  original = process.dlopen as Dlopen;
  const load = original;
  process.dlopen = function dlopen(this: unknown, ...args: Parameters<Dlopen>): void {
    const loadNow = (): void => Reflect.apply(load, this, args);
    const [, path] = args;
    if (typeof path === "string") addonConnector().loadAddon(path, loadNow);
    else loadNow();
  };
  Object.defineProperty(globalThis, ATTACH, { value: () => addonConnector().attachLoop(), configurable: true });
  return true;
}
