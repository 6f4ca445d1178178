// epoll-hello/libuv: runs native addons that need libuv, such as serialport and zeromq.

import type { LoadedAddon } from "./addon-connector.ts";
import { addonConnector, installDlopenHook, loadedConnector } from "./dlopen-hook.ts";
import { preloadInWorkers } from "./worker-preload.ts";

export type { LoadedAddon };

/**
 * Returns the version of libuv, such as `"1.51.0"`. Opens it if no addon has yet.
 *
 * @throws {Error} if libuv is not installed, or `EPOLL_HELLO_LIBUV` names a file that is not libuv
 */
export function libuvVersion(): string {
  return addonConnector().openLibuv().version;
}

/**
 * Returns the path of the file from which libuv was loaded. Opens it if no addon has yet.
 *
 * @throws {Error} if libuv is not installed, or `EPOLL_HELLO_LIBUV` names a file that is not libuv
 */
export function libuvPath(): string {
  return addonConnector().openLibuv().path;
}

/** Returns the addons of this thread that use libuv, in the order in which they were loaded. */
export function loadedAddons(): LoadedAddon[] {
  return loadedConnector()?.connectedAddons() ?? [];
}

/** Returns whether an addon's handles or requests keep this thread alive: uv_loop_alive(). */
export function hasActiveHandles(): boolean {
  return loadedConnector()?.hasActiveHandles() ?? false;
}

if (installDlopenHook()) preloadInWorkers();
