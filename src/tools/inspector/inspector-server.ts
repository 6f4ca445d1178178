// class Page: the live page, served by EpollServer on Bun's own event loop, on this machine's own address only.

import packageJson from "../../../package.json" with { type: "json" };
import { errnoNames } from "../../kernel/errno.ts";
import { EpollServer } from "../../server/server.ts";
import { explainReadiness } from "../../trace/explain-readiness.ts";
import { inspectFd } from "../../trace/fd-info.ts";
import { compareInterest } from "../../trace/interest-list.ts";
import { facts, source } from "./queries.ts";
import { type Asset, assets } from "./assets.ts";
import { answer, answerJson, AccessControl } from "./access-control.ts";
import type { LiveView } from "./live-view.ts";
import { LESSONS } from "../lessons/all-lessons.ts";
import { runLesson } from "./lesson-process.ts";
import type { DifferencesResponse, Hello, FdInfoResponse, PageCommand } from "./messages.ts";
import { parseCommand } from "./commands.ts";
import { EventStream } from "./event-stream.ts";
import { TestClients } from "./test-clients.ts";

const MOST_VIEWERS = 16;
const MOST_ORDER_BYTES = 4_096;

export interface InspectorOptions {
  /** 0: any free one. */
  port: number;
  /** What to show: a live loop, or the lines of a trace that was saved. */
  shows: { inspector: LiveView } | { name: string; trace: string };
  /** How this program is started, for lessons, which run in a process of their own. */
  command: readonly string[];
}

export class InspectorServer implements AsyncDisposable {
  readonly #server: EpollServer;
  readonly #guard: AccessControl;
  readonly #shows: InspectorOptions["shows"];
  readonly #command: readonly string[];
  readonly #assets: ReadonlyMap<string, Asset>;
  readonly #viewers = new Set<EventStream>();
  readonly #tries: TestClients;

  private constructor({ port, shows, command }: InspectorOptions, files: ReadonlyMap<string, Asset>) {
    this.#shows = shows;
    this.#command = command;
    this.#assets = files;
    this.#tries = new TestClients(() => this.#tell({ kind: "tries", tries: this.#tries.states }));
    this.#server = new EpollServer({
      hostname: "127.0.0.1",
      port,
      maxBodyBytes: MOST_ORDER_BYTES,
      fetch: (request) => this.#answer(request),
      onError: () => answer(500, "The page has failed at this.\n"),
    });
    this.#guard = new AccessControl(this.#server.port ?? 0);
  }

  /** Listen, and serve from now on. @throws {ErrnoError} EADDRINUSE, …; {Error} if the page cannot be built */
  static async open(options: InspectorOptions): Promise<InspectorServer> {
    const page = new InspectorServer(options, await assets());
    await page.#server.start();
    return page;
  }

  /** For who only looks. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/`;
  }

  /** For who pauses, steps and tries, too. */
  get controlUrl(): string {
    return `${this.url}#${this.#guard.token}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const viewer of this.#viewers) viewer.end();
    this.#tries[Symbol.dispose]();
    await this.#server.stop({ graceMs: 0 });
  }

  // ---- requests ----

  #answer(request: Request): Response | Promise<Response> {
    const refusal = this.#guard.refusal(request);
    if (refusal !== undefined) return refusal;
    const { pathname, searchParams } = new URL(request.url);
    if (request.method === "POST") return this.#act(request, pathname, searchParams);
    if (request.method !== "GET" && request.method !== "HEAD") return answer(405, "GET, or POST for orders.\n");
    const asset = this.#assets.get(pathname);
    if (asset !== undefined) return answer(200, asset.bytes, asset.type);
    switch (pathname) {
      case "/events":
        return request.method === "HEAD" ? answer(405, "GET it: it has no end.\n") : this.#stream();
      case "/look":
        return this.#look(Number(searchParams.get("fd") ?? Number.NaN));
      case "/differences":
        return this.#differences();
      case "/source":
        return source(
          searchParams.get("at") ?? "",
          "inspector" in this.#shows ? this.#shows.inspector.target.program : undefined,
        );
      case "/lessons":
        return answerJson(LESSONS);
      case "/trace":
        if ("trace" in this.#shows) return answer(200, this.#shows.trace, "application/x-ndjson");
    }
    return answer(404, "Nothing is here.\n");
  }

  async #act(request: Request, pathname: string, search: URLSearchParams): Promise<Response> {
    if (!this.#guard.mayControl(request)) {
      return answer(
        403,
        "Only looking is open to all: this needs the address with the token, as the terminal shows it.\n",
      );
    }
    try {
      if (pathname === "/orders") return this.#obey(parseCommand(await request.json()));
      if (pathname === "/lesson") return await this.#lesson(search.get("id") ?? "");
    } catch (error) {
      return answer(400, `${error instanceof Error ? error.message : String(error)}\n`);
    }
    return answer(404, "Nothing is here.\n");
  }

  #stream(): Response {
    if (this.#viewers.size >= MOST_VIEWERS) return answer(503, `${MOST_VIEWERS} pages are open already: close one.\n`);
    const shows = this.#shows;
    let unlisten = (): void => {};
    const viewer: EventStream = new EventStream(this.#hello(), () => {
      unlisten();
      this.#viewers.delete(viewer);
    });
    this.#viewers.add(viewer);
    if ("inspector" in shows) unlisten = shows.inspector.listen((message) => viewer.tell(message));
    return answer(200, viewer.body, "text/event-stream");
  }

  #hello(): Hello {
    const shows = this.#shows;
    const common = {
      kind: "hello" as const,
      version: packageJson.version,
      errnos: [...errnoNames()] satisfies [number, string][],
      tries: this.#tries.states,
    };
    if ("trace" in shows) {
      return {
        ...common,
        source: "saved",
        name: shows.name,
        begunMs: 0,
        place: undefined,
        state: {
          kind: "state",
          run: "ended",
          seq: undefined,
          breakpoint: undefined,
          speed: 0,
          breakpoints: [],
          error: undefined,
        },
        samples: [],
      };
    }
    const { inspector } = shows;
    return {
      ...common,
      source: "live",
      name: inspector.target.location.url,
      begunMs: inspector.begunMs,
      place: inspector.target.location,
      state: inspector.state,
      samples: [...inspector.recall()],
    };
  }

  #tell(message: Parameters<EventStream["tell"]>[0]): void {
    for (const viewer of this.#viewers) viewer.tell(message);
  }

  // ---- what may be asked ----

  /** Only what the loop itself has: this process's other descriptors are nobody's business. */
  #look(fd: number): Response {
    const sample = "inspector" in this.#shows ? this.#shows.inspector.sample : undefined;
    const entry = sample?.entries.find((one) => one.fd === fd);
    if (entry === undefined) return answerJson(null);
    try {
      const look = inspectFd(fd);
      return answerJson({ fd, why: explainReadiness(look, entry.mask), facts: facts(look) } satisfies FdInfoResponse);
    } catch {
      return answerJson(null); // closed meanwhile
    }
  }

  #differences(): Response {
    const inspector = "inspector" in this.#shows ? this.#shows.inspector : undefined;
    const sample = inspector?.sample;
    if (inspector === undefined || sample === undefined) return answer(404, "There is no kernel to ask.\n");
    if (inspector.target.state !== "stopped") {
      return answer(409, "While it runs, both lists change between one look and the other: pause it first.\n");
    }
    if (sample.entries.length < sample.open) return answer(409, "There are too many descriptors to compare.\n");
    const ours = new Map(sample.entries.flatMap(({ fd, mask }) => (mask === undefined ? [] : [[fd, mask]])));
    try {
      const messages = compareInterest(ours, sample.epfd).map(({ message }) => message);
      return answerJson({ messages, watched: ours.size } satisfies DifferencesResponse);
    } catch {
      return answer(404, "The epoll instance is closed.\n");
    }
  }

  // ---- orders ----

  #obey(order: PageCommand): Response {
    if (order.kind === "check") return answer(204, null);
    if (!("inspector" in this.#shows)) return answer(409, "A trace that was saved cannot be changed.\n");
    const { inspector } = this.#shows;
    switch (order.kind) {
      case "go":
        inspector.go(order.mode);
        break;
      case "pause":
        inspector.pause();
        break;
      case "speed":
        inspector.setSpeed(order.perSecond);
        break;
      case "break":
        if (inspector.addBreakpoint(order.on, order.value) === undefined) {
          return answer(409, "There are too many breakpoints: remove one.\n");
        }
        break;
      case "clear":
        inspector.clearBreakpoint(order.id);
        break;
      case "try": {
        const [address] = inspector.target.location.addresses;
        if (address === undefined || inspector.target.state === "ended") throw new Error("nobody listens");
        this.#tries.start(order.try, address);
        break;
      }
      case "end-try":
        this.#tries.end(order.id);
    }
    return answer(204, null);
  }

  async #lesson(id: string): Promise<Response> {
    const lesson = LESSONS.find((one) => one.id === id);
    if (lesson === undefined) return answer(404, "There is no such lesson.\n");
    return answerJson(await runLesson(this.#command, lesson.id));
  }
}
