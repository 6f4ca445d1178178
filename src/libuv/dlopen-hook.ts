// Replaces process.dlopen, through which Bun loads every native addon, to bind those that need libuv.
//
// This file is cheap to load: code that only such an addon needs is loaded on first use.

import { chosenLibuv } from "./libuv-setting.ts";
import { shared } from "./shared-state.ts";

type AddonConnector = typeof import("./addon-connector.ts");
type Dlopen = (module: object, path: string, ...rest: unknown[]) => void;

/** Returns the module that opens libuv. The first call loads it, in a few milliseconds. */
export function addonConnector(): AddonConnector {
  return (shared.connector ??= require("./addon-connector.ts")) as AddonConnector;
}

/** Returns the module that opens libuv, or undefined if it has not been loaded. */
export function loadedConnector(): AddonConnector | undefined {
  return shared.connector as AddonConnector | undefined;
}

/**
 * Binds each addon that is loaded from now on to libuv, if it needs functions that Bun lacks. Returns whether the hook is
 * installed: not in Node.js, not on other platforms than Linux, and not if `EPOLL_HELLO_LIBUV` is `off`.
 */
export function installDlopenHook(): boolean {
  if (shared.attach !== undefined) return true;
  if (process.platform !== "linux" || process.versions.bun === undefined) return false;
  if (chosenLibuv() === undefined) return false;
  const load = process.dlopen as Dlopen;
  process.dlopen = function dlopen(this: unknown, ...args: Parameters<Dlopen>): void {
    const loadNow = (): void => Reflect.apply(load, this, args);
    const [, path] = args;
    if (typeof path === "string") addonConnector().loadAddon(path, loadNow);
    else loadNow();
  };
  shared.attach = () => void addonConnector().attachLoop();
  return true;
}
