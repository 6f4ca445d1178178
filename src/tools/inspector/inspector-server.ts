// The inspector's HTTP server: an EpollServer on Bun's event loop, bound to 127.0.0.1.

import packageJson from "../../../package.json" with { type: "json" };
import { errnoNames } from "../../kernel/errno.ts";
import { EpollServer } from "../../server/server.ts";
import { LESSONS } from "../lessons/all-lessons.ts";
import { AccessControl, type AccessLevel } from "./access-control.ts";
import { type Asset, loadAssets } from "./assets.ts";
import { parseCommand } from "./commands.ts";
import { EventStream } from "./event-stream.ts";
import { runLessonProcess } from "./lesson-process.ts";
import type { LiveView } from "./live-view.ts";
import type { Hello, LoopState, Message, PageCommand } from "./messages.ts";
import {
  connectionResponse,
  fdInfoResponse,
  fdsResponse,
  interestDiffResponse,
  kernelResponse,
  sourceResponse,
  timingsResponse,
} from "./queries.ts";
import { respond, respondJson } from "./responses.ts";
import { TestClientPool } from "./test-clients.ts";

/** The most event streams. All tabs of a browser share one. */
const MAX_PAGES = 16;
const MAX_COMMAND_BYTES = 4_096;

const UNAUTHORIZED =
  "This inspector requires the URL with a token that the terminal shows. If the server was restarted, open its new URL.\n";

/** The state of a saved trace, which has no loop. */
const SAVED_STATE: LoopState = {
  kind: "state",
  run: "ended",
  seq: undefined,
  breakpoint: undefined,
  reason: undefined,
  speed: 0,
  breakpoints: [],
  error: undefined,
};

export interface InspectorOptions {
  /** 0: any free port. */
  port: number;
  /** What the page shows: a running loop, or the text of a saved trace. */
  source: { view: LiveView } | { name: string; trace: string };
  /** The command line that starts epoll-hello, for lessons, which run in their own process. */
  command: readonly string[];
}

export class InspectorServer implements AsyncDisposable {
  readonly #server: EpollServer;
  readonly #accessControl: AccessControl;
  readonly #source: InspectorOptions["source"];
  readonly #view: LiveView | undefined;
  readonly #command: readonly string[];
  readonly #assets: ReadonlyMap<string, Asset>;
  readonly #pages = new Set<EventStream>();
  readonly #testClients: TestClientPool;

  private constructor({ port, source, command }: InspectorOptions, assets: ReadonlyMap<string, Asset>) {
    this.#source = source;
    this.#view = "view" in source ? source.view : undefined;
    this.#command = command;
    this.#assets = assets;
    this.#testClients = new TestClientPool(() =>
      this.#broadcast({ kind: "test-clients", testClients: this.#testClients.states }),
    );
    this.#server = new EpollServer({
      hostname: "127.0.0.1",
      port,
      maxBodyBytes: MAX_COMMAND_BYTES,
      fetch: (request) => this.#route(request),
      onError: () => respond(500, "Internal error in the inspector.\n"),
    });
    this.#accessControl = new AccessControl(this.#server.port ?? 0);
  }

  /**
   * Bundles the page, binds the port and starts serving.
   *
   * @throws {ErrnoError} EADDRINUSE if the port is in use
   * @throws {Error} if the page cannot be bundled
   */
  static async open(options: InspectorOptions): Promise<InspectorServer> {
    const server = new InspectorServer(options, await loadAssets());
    await server.#server.start();
    return server;
  }

  /** The URL without a token: the page loads, and shows nothing. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/`;
  }

  /** The URL with the token for viewing only. */
  get viewUrl(): string {
    return `${this.url}#${this.#accessControl.viewToken}`;
  }

  /** The URL with the token that also permits commands and lessons. */
  get controlUrl(): string {
    return `${this.url}#${this.#accessControl.controlToken}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const page of this.#pages) page.close();
    this.#testClients[Symbol.dispose]();
    await this.#server.stop({ graceMs: 0 });
  }

  #route(request: Request): Response | Promise<Response> {
    const rejection = this.#accessControl.rejection(request);
    if (rejection !== undefined) return rejection;
    const { method } = request;
    const url = new URL(request.url);
    if (!["GET", "HEAD", "POST"].includes(method)) return respond(405, "Use GET, or POST for commands.\n");
    const asset = method === "POST" ? undefined : this.#assets.get(url.pathname);
    if (asset !== undefined) return respond(200, asset.bytes, asset.type); // the page itself is not secret
    const level = this.#accessControl.levelOf(request);
    if (level === undefined) return respond(401, UNAUTHORIZED);
    return method === "POST" ? this.#post(request, url, level) : this.#get(request, url, level);
  }

  #get({ method }: Request, { pathname, searchParams }: URL, level: AccessLevel): Response | Promise<Response> {
    switch (pathname) {
      case "/events":
        return method === "HEAD" ? respond(405, "Use GET: this response never ends.\n") : this.#openStream(level);
      case "/fds":
        return fdsResponse(this.#view, searchParams);
      case "/connection":
        return connectionResponse(this.#view, searchParams);
      case "/kernel":
        return kernelResponse(this.#view);
      case "/timings":
        return timingsResponse(this.#view);
      case "/fd":
        return fdInfoResponse(this.#view, searchParams);
      case "/interest-diff":
        return interestDiffResponse(this.#view);
      case "/source":
        return sourceResponse(searchParams.get("at") ?? "", this.#view?.target);
      case "/lessons":
        return respondJson(LESSONS);
      case "/trace":
        if ("trace" in this.#source) return respond(200, this.#source.trace, "application/x-ndjson");
    }
    return respond(404, "Not found.\n");
  }

  async #post(request: Request, { pathname, searchParams }: URL, level: AccessLevel): Promise<Response> {
    if (level !== "control") {
      return respond(403, "View only: to control the server, open the second URL that the terminal shows.\n");
    }
    try {
      if (pathname === "/commands") return this.#execute(parseCommand(await request.json()));
      if (pathname === "/lesson") return await this.#runLesson(searchParams.get("id") ?? "");
    } catch (error) {
      return respond(400, `${error instanceof Error ? error.message : String(error)}\n`);
    }
    return respond(404, "Not found.\n");
  }

  #openStream(level: AccessLevel): Response {
    if (this.#pages.size >= MAX_PAGES) {
      return respond(503, `${MAX_PAGES} pages are open, which is the limit: close one first.\n`);
    }
    let unsubscribe: (() => void) | undefined;
    const removeController = level === "control" ? this.#view?.addController() : undefined;
    const page: EventStream = new EventStream(this.#hello(level), () => {
      unsubscribe?.();
      removeController?.();
      this.#pages.delete(page);
    });
    this.#pages.add(page);
    unsubscribe = this.#view?.subscribe((message) => page.send(message));
    return respond(200, page.body, "text/event-stream");
  }

  #hello(level: AccessLevel): Hello {
    const view = this.#view;
    return {
      kind: "hello",
      version: packageJson.version,
      canControl: level === "control",
      viewUrl: this.viewUrl,
      pid: view === undefined ? 0 : (view.target.pid ?? process.pid),
      source: view === undefined ? "saved" : "live",
      name: "name" in this.#source ? this.#source.name : this.#source.view.target.location.url,
      startedMs: view?.startedMs ?? 0,
      location: view?.target.location,
      errnos: [...errnoNames()],
      state: view?.state ?? SAVED_STATE,
      testClients: this.#testClients.states,
      samples: [...(view?.recentSamples() ?? [])],
    };
  }

  #broadcast(message: Message): void {
    for (const page of this.#pages) page.send(message);
  }

  #execute(command: PageCommand): Response {
    const view = this.#view;
    if (view === undefined) return respond(409, "A saved trace cannot be controlled.\n");
    view.onCommand();
    switch (command.kind) {
      case "resume":
        view.control.resume(command.mode);
        break;
      case "pause":
        view.control.pause();
        break;
      case "set-speed":
        view.control.setSpeed(command.perSecond);
        break;
      case "add-breakpoint":
        if (view.control.addBreakpoint(command.on, command.value) === undefined) {
          return respond(409, "The limit on breakpoints is reached: remove one first.\n");
        }
        break;
      case "remove-breakpoint":
        view.control.removeBreakpoint(command.id);
        break;
      case "start-client": {
        const [address] = view.target.location.addresses;
        if (address === undefined || view.target.state === "ended") throw new Error("the server is not listening");
        this.#testClients.start(command.client, address);
        break;
      }
      case "close-client":
        this.#testClients.close(command.id);
    }
    return respond(204, null);
  }

  async #runLesson(id: string): Promise<Response> {
    if (!LESSONS.some((lesson) => lesson.id === id)) return respond(404, "There is no lesson with this id.\n");
    return respondJson(await runLessonProcess(this.#command, id));
  }
}
