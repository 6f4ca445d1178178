// Clients that count the requests that are answered and those that are lost, over new and kept connections.

const REQUEST_MS = 10_000;
const CONNECTIONS = 3;

interface Request {
  text: string;
  /** Whether an answer is the right one. */
  isRight(status: number, body: string): boolean;
}

const UPLOAD = "x".repeat(3_000);

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

/** A client that opens a new connection when its previous one has failed. */
class Client {
  readonly #port: number;
  #socket: Bun.Socket | undefined;
  #received = "";
  #onChange: () => void = () => {};
  #isClosed = false;

  constructor(port: number) {
    this.#port = port;
  }

  async #connect(): Promise<Bun.Socket> {
    this.#received = "";
    this.#isClosed = false;
    return Bun.connect({
      hostname: "127.0.0.1",
      port: this.#port,
      socket: {
        data: (_, bytes) => {
          this.#received += bytes.toString("latin1");
          this.#onChange();
        },
        error() {},
        close: (socket) => {
          if (socket !== this.#socket && this.#socket !== undefined) return;
          this.#isClosed = true;
          this.#onChange();
        },
      },
    });
  }

  /** Sends a request. Resolves to its status and body, or to the reason why it was lost. */
  async send(text: string, limitMs: number): Promise<{ status: number; body: string } | string> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#onChange();
    }, limitMs);
    try {
      if (this.#isClosed) this.#socket = undefined;
      this.#socket ??= await this.#connect();
      this.#received = "";
      this.#socket.write(text);
      this.#socket.flush();
      for (;;) {
        const response = parse(this.#received);
        if (response !== undefined) return response;
        if (this.#isClosed || isLate) {
          this.close();
          return isLate ? `no answer within ${limitMs / 1000} s` : "the connection was closed";
        }
        await new Promise<void>((resolve) => (this.#onChange = resolve));
      }
    } catch (error) {
      this.close();
      return String(error);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
    this.#isClosed = false;
  }
}

function parse(text: string): { status: number; body: string } | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
  const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
  const body = text.slice(end + 4);
  return body.length < length ? undefined : { status, body };
}

/** How many requests were answered correctly, and how many were not. */
export class Tally {
  answered: number = 0;
  lost: number = 0;
}

export class Traffic {
  readonly tally: Tally = new Tally();
  readonly reasons: string[] = [];
  readonly #clients: Client[];
  readonly #requests: Request[];
  #limitMs = REQUEST_MS;

  /** @param hasPaths whether the server has more than one page */
  constructor(port: number, hasPaths: boolean) {
    this.#clients = Array.from({ length: CONNECTIONS }, () => new Client(port));
    const hello: Request = { text: get("/"), isRight: (status) => status === 200 };
    const file: Request = { text: get("/file"), isRight: (status, body) => status === 200 && body.length > 1000 };
    const upload: Request = {
      text: `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${UPLOAD.length}\r\n\r\n${UPLOAD}`,
      isRight: (status, body) => status === 200 && body === UPLOAD,
    };
    this.#requests = hasPaths ? [hello, file, upload] : [hello, hello];
  }

  /** The server cannot answer now: do not wait long. */
  expectNothing(): void {
    this.#limitMs = 500;
  }

  /** The server can answer again. */
  async finish(): Promise<void> {
    this.#limitMs = REQUEST_MS;
    for (const client of this.#clients) client.close();
  }

  /** Each client makes all requests on a kept connection; the last request of every other client closes it. */
  async round(): Promise<void> {
    await Promise.all(
      this.#clients.map(async (client, i) => {
        for (const [j, { text, isRight }] of this.#requests.entries()) {
          const isLast = i % 2 === 0 && j === this.#requests.length - 1;
          const sent = isLast ? text.replace("Host: a", "Host: a\r\nConnection: close") : text;
          const answer = await client.send(sent, this.#limitMs);
          if (typeof answer !== "string" && isRight(answer.status, answer.body)) {
            this.tally.answered++;
            continue;
          }
          this.tally.lost++;
          const what = typeof answer === "string" ? answer : `${answer.status} ${answer.body.slice(0, 80)}`;
          this.reasons.push(`${text.slice(0, text.indexOf(" HTTP"))}: ${what}`);
        }
        if (i % 2 === 0) client.close();
      }),
    );
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}
