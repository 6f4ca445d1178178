// Replaces process.dlopen, through which Bun loads every native addon, to connect those that need libuv.
//
// Loading this file costs little: whatever a program without such an addon does not need is loaded on first use.

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

/** Whether the hook is installed in this thread. */
export function isHookInstalled(): boolean {
  return original !== undefined;
}

/** Connects each addon that is loaded from now on, if it needs functions of libuv that Bun lacks. */
export function installDlopenHook(): void {
  if (original !== undefined) return;
  const dlopen = (original = process.dlopen as Dlopen);
  process.dlopen = function (this: unknown, ...args: Parameters<Dlopen>): void {
    const load = (): void => Reflect.apply(dlopen, this, args);
    const [, path] = args;
    if (typeof path === "string") addonConnector().loadAddon(path, load);
    else load();
  };
  Object.defineProperty(process.dlopen, "name", { value: "dlopen" });
}
