// epoll-hello/libuv: runs native addons that need libuv, such as serialport and zeromq.

import type { LoadedAddon } from "./addon-connector.ts";
import { checkRequirements } from "../kernel/requirements.ts";
import { addonConnector, installDlopenHook, loadedConnector } from "./dlopen-hook.ts";
import { preloadInWorkers } from "./worker-preload.ts";

export type { LoadedAddon };

/**
 * Returns the version of libuv, such as `"1.51.0"`. Opens libuv if no addon has.
 *
 * @throws {Error} if libuv is not installed, or `EPOLL_HELLO_LIBUV` names a file that is not libuv
 */
export function libuvVersion(): string {
  checkRequirements();
  return addonConnector().openLibuv().version;
}

/**
 * Returns the path of the file from which libuv was loaded. Opens libuv if no addon has.
 *
 * @throws {Error} if libuv is not installed, or `EPOLL_HELLO_LIBUV` names a file that is not libuv
 */
export function libuvPath(): string {
  checkRequirements();
  return addonConnector().openLibuv().path;
}

/** Returns this thread's addons that use libuv, in load order. */
export function loadedAddons(): LoadedAddon[] {
  return loadedConnector()?.connectedAddons() ?? [];
}

/** Returns whether an addon's handles or requests keep this thread alive, as `uv_loop_alive()` does. */
export function hasActiveHandles(): boolean {
  return loadedConnector()?.hasActiveHandles() ?? false;
}

if (installDlopenHook()) preloadInWorkers();
