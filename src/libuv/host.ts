// Bindings of native/libuv-host.c, which binds native addons to the system's libuv.

import source from "../../native/libuv-host.c" with { type: "text" };
import { ENOENT, ENOEXEC, ENOSYS } from "../kernel/errno.ts";
import { check } from "../kernel/errors.ts";
import { bytes, compile, int, libcAddresses, scheduledCallback, type Signatures } from "../kernel/ffi.ts";
import { installHint } from "./libuv-packages.ts";
import { LIBUV_VARIABLE } from "./libuv-setting.ts";

/** The functions of the C file. Each returns a number >= 0, or -errno. */
interface Functions {
  host_open(path: Uint8Array, functions: Uint8Array, texts: Uint8Array): number;
  host_has(name: Uint8Array): number;
  host_set_attach_script(script: Uint8Array): number;
  host_attach(isMain: number, functions: Uint8Array): number;
  host_backend_fd(): number;
  host_run(): number;
  host_state(): number;
  host_expect_addon(expects: number): number;
}

const signatures: Signatures<Functions> = {
  host_open: [bytes, bytes, bytes],
  host_has: [bytes],
  host_set_attach_script: [bytes],
  host_attach: [int, bytes],
  host_backend_fd: [],
  host_run: [],
  host_state: [],
  host_expect_addon: [int],
};

const TEXT_SIZE = 512;
/** The bit of `host_state` that is set if something keeps the loop alive. */
const IS_ALIVE = 1 << 30;

/** What the loop needs after a run. */
export interface LoopState {
  /** Whether active handles, requests or closing handles keep the process alive. */
  isAlive: boolean;
  /** Milliseconds until the next run is due; Infinity if only events cause one. */
  timeoutMs: number;
}

/** libuv, opened for this JavaScript thread. */
export class LibuvHost {
  /** The version of libuv: `"1.51.0"`. */
  readonly version: string;
  /** The file from which libuv was loaded. */
  readonly path: string;

  readonly #functions: Functions = compile(source, signatures);

  /**
   * Opens libuv.
   *
   * @param file a path, or a name that the dynamic linker finds
   * @throws {Error} if libuv is not installed, or the file is not libuv; the message names the package to install
   */
  constructor(file: string) {
    const texts = new Uint8Array(new ArrayBuffer(3 * TEXT_SIZE));
    const n = this.#functions.host_open(cString(file), pointers(libcAddresses("dlopen", "dlsym")), texts);
    const [detail = "", version = "", path = ""] = [0, 1, 2].map((i) => textAt(texts, i * TEXT_SIZE));
    if (n < 0) throw new Error(explainOpenError(-n, file, detail));
    this.version = version;
    this.path = path;
  }

  /** Returns whether libuv has a function of this name. */
  has(name: string): boolean {
    return this.#functions.host_has(cString(name)) === 1;
  }

  /**
   * Sets the JavaScript that attaches a loop to a Worker, for an addon that asks for the loop of a Worker without one.
   */
  setAttachScript(script: string): void {
    this.#functions.host_set_attach_script(cString(script));
  }

  /**
   * Creates this thread's loop, and returns its epoll fd.
   *
   * @param onRequest called on the event loop after an addon has changed the loop
   * @throws {ErrnoError} EMFILE, ENFILE or ENOMEM
   */
  attach(onRequest: () => void): number {
    const wake = pointers(new BigUint64Array([scheduledCallback(onRequest)]));
    check(this.#functions.host_attach(Bun.isMainThread ? 1 : 0, wake), "uv_loop_init");
    return this.#functions.host_backend_fd();
  }

  /** Handles pending events and due timers without waiting. In a callback of the loop, does nothing. */
  run(): void {
    this.#functions.host_run();
  }

  /** What the loop needs, after a run. */
  get state(): LoopState {
    const state = this.#functions.host_state();
    const timeout = (state & ~IS_ALIVE) - 1;
    return { isAlive: (state & IS_ALIVE) !== 0, timeoutMs: timeout < 0 ? Infinity : timeout };
  }

  /** Calls `load`, which loads an addon with Bun's `process.dlopen`, and binds that addon to libuv. */
  connect(load: () => void): void {
    this.#functions.host_expect_addon(1);
    try {
      load();
    } finally {
      this.#functions.host_expect_addon(0);
    }
  }
}

function explainOpenError(errno: number, file: string, detail: string): string {
  if (errno === ENOENT) {
    return (
      `epoll-hello/libuv cannot open libuv (${detail}): ${installHint()}, ` +
      `or set ${LIBUV_VARIABLE} to the path of libuv.so.1`
    );
  }
  if (errno === ENOEXEC) return `${file} is not libuv, or too old: it has no function ${detail}. ${installHint()}`;
  if (errno === ENOSYS) {
    return `epoll-hello/libuv does not support Bun ${Bun.version}: it does not call dlopen of the C library. Please report this`;
  }
  return `epoll-hello/libuv cannot be set up: error ${errno}`;
}

function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

function pointers(addresses: BigUint64Array): Uint8Array {
  return new Uint8Array(addresses.buffer);
}

function textAt(texts: Uint8Array, start: number): string {
  return new TextDecoder().decode(texts.subarray(start, texts.indexOf(0, start)));
}
