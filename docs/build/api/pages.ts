// The pages of the API reference, and which source files' exports each of them documents.

export interface Page {
  /** The path below docs/api. */
  file: string;
  title: string;
  /** A sentence about the page, as Markdown. */
  intro: string;
  /** The guide to the same subject, as a path below docs, if there is one. */
  guide?: string;
  /** The specifier that its exports are imported from. */
  module: string;
  /** Source files and folders below src. If several pages match a file, it belongs to the page with the longest match. */
  sources: readonly string[];
}

export const PAGES: readonly Page[] = [
  {
    file: "epoll.md",
    title: "Epoll instances",
    intro: "Readiness of any number of file descriptors: epoll(7), with the method names of Python's `select.epoll`.",
    guide: "epoll.md",
    module: "epoll-hello",
    sources: ["io/epoll", "io/event-list", "kernel/fd"],
  },
  {
    file: "socket.md",
    title: "Sockets",
    intro: "Non-blocking TCP, UDP and unix sockets: socket(7), with the method names of Python's `socket`.",
    guide: "sockets.md",
    module: "epoll-hello",
    sources: ["io/socket", "kernel/address", "kernel/control-messages", "kernel/tcp-info"],
  },
  {
    file: "watch.md",
    title: "Watching file descriptors on Bun's event loop",
    intro: "Callbacks and async iteration for any file descriptor, alongside timers, promises and `Bun.serve`.",
    guide: "file-descriptors.md",
    module: "epoll-hello",
    sources: ["event-loop"],
  },
  {
    file: "file-descriptors.md",
    title: "Other file descriptors",
    intro:
      "Linux objects that are file descriptors and can be watched: timers, event counters, signals, processes, files.",
    guide: "file-descriptors.md",
    module: "epoll-hello",
    sources: ["io"],
  },
  {
    file: "server.md",
    title: "The server",
    intro: "A server for HTTP/1.1, or for your own protocol, on one epoll loop.",
    guide: "server.md",
    module: "epoll-hello",
    sources: ["server", "protocols", "workers"],
  },
  {
    file: "serve.md",
    title: "serve",
    intro: "A server with the options and the server object of `Bun.serve`.",
    guide: "moving-from-bun-serve.md",
    module: "epoll-hello",
    sources: ["serve"],
  },
  {
    file: "systemd.md",
    title: "systemd",
    intro: "Socket activation, readiness notification and the watchdog of systemd(1).",
    guide: "deployment.md",
    module: "epoll-hello",
    sources: ["server/systemd"],
  },
  {
    file: "trace.md",
    title: "Tracing",
    intro: "Typed events for every system call of a loop, and the kernel's own view of an epoll instance.",
    guide: "tracing.md",
    module: "epoll-hello",
    sources: ["trace"],
  },
  {
    file: "errors.md",
    title: "Errors",
    intro:
      "The classes of the errors that the package throws. Wrong arguments are a `TypeError` or a `RangeError` whose `code` is one of Node's: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, …",
    module: "epoll-hello",
    sources: ["kernel/errors", "kernel/errno"],
  },
  {
    file: "constants.md",
    title: "Constants",
    intro: "The kernel's numbers, named as in its headers. They are the same on x86-64 and arm64.",
    module: "epoll-hello",
    sources: ["kernel"],
  },
  {
    file: "libuv.md",
    title: "Native addons that need libuv",
    intro: "Importing the module lets native addons use the real libuv; its exports say what was loaded.",
    guide: "native-addons.md",
    module: "epoll-hello/libuv",
    sources: ["libuv"],
  },
  {
    file: "npm-epoll.md",
    title: "The npm package `epoll`",
    intro: "The class of the npm package `epoll`, for programs and packages that were written for it.",
    guide: "npm-epoll.md",
    module: "epoll-hello/npm-epoll",
    sources: ["npm-epoll"],
  },
];

/** Returns the page for a source file, given as a path below src. */
export function pageFor(source: string): Page | undefined {
  const rank = (page: Page): number => Math.max(...page.sources.map((prefix) => matchLength(source, prefix)));
  const best = PAGES.toSorted((a, b) => rank(b) - rank(a))[0];
  return best !== undefined && rank(best) > 0 ? best : undefined;
}

/** `io/socket` matches io/socket.ts, io/socket-options.ts and io/socket/options.ts, but not io/sockets.ts. */
function matchLength(source: string, prefix: string): number {
  return source.startsWith(prefix) && /[-./]/.test(source[prefix.length] ?? "") ? prefix.length : 0;
}
