// Realistic requests: browsers, API clients and proxies, with thousands of paths, queries, cookies and header orders. The seed is
// fixed, so all runs get the same requests. Each contains a place for a number that makes it unique.

export type TrafficName = "pages" | "api" | "forms";

/** Replaced in each request by a number of the same length, so that Content-Length stays correct. */
export const UNIQUE = "{unique-number!}";

type Field = [name: string, value: string];

interface Message {
  method: string;
  target: string;
  fields: Field[];
  /** One byte per character. */
  body?: string;
}

const COUNT: Readonly<Record<TrafficName, number>> = { pages: 4000, api: 4000, forms: 600 };

/** Returns requests as they are sent, one byte per character. `pages` has only GET; `api` has JSON bodies too; `forms` has form uploads. */
export function traffic(name: TrafficName): string[] {
  const random = new Random(17);
  return Array.from({ length: COUNT[name] }, () => {
    const message =
      name === "forms" ? form(random) : name === "api" && random.chance(0.2) ? write(random) : page(random);
    return serialize(unique(message, random));
  });
}

/** Uniformly distributed numbers from a seed (mulberry32). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4_294_967_296;
  }

  integer(below: number): number {
    return Math.floor(this.next() * below);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(values: readonly [T, ...T[]]): T {
    return values[this.integer(values.length)] ?? values[0];
  }

  text(alphabet: string, length: number): string {
    let text = "";
    while (text.length < length) text += alphabet[this.integer(alphabet.length)];
    return text;
  }

  hex(length: number): string {
    return this.text("0123456789abcdef", length);
  }

  token(length: number): string {
    return this.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", length);
  }

  uuid(): string {
    return [8, 4, 4, 4, 12].map((length) => this.hex(length)).join("-");
  }

  shuffled<T>(values: readonly T[]): T[] {
    const all = [...values];
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [all[i], all[j]] = [all[j] as T, all[i] as T];
    }
    return all;
  }
}

const words =
  "red blue green small large winter summer cotton leather wooden steel garden kitchen office travel coffee paper lamp chair table shoe jacket bottle camera phone cable bag watch clock mirror".split(
    " ",
  ) as [string, ...string[]];

const slug = (random: Random): string =>
  `${Array.from({ length: 2 + random.integer(3) }, () => random.pick(words)).join("-")}-${random.integer(100_000)}`;

function target(random: Random): string {
  const path = random.pick<() => string>([
    () => "/",
    () => `/products/${slug(random)}`,
    () => `/products/${slug(random)}`,
    () => `/blog/20${10 + random.integer(17)}/${1 + random.integer(12)}/${slug(random)}`,
    () => `/assets/js/${random.pick(words)}.${random.hex(8)}.js`,
    () => `/assets/img/${slug(random)}@2x.webp`,
    () => `/account/orders/${random.integer(1_000_000)}`,
    () => "/search",
    () => `/caf%C3%A9/${random.pick(words)}%20${random.pick(words)}`,
    () => "/api/v1/products",
    () => `/api/v1/users/${random.integer(1_000_000)}`,
    () => `/api/v1/users/${random.integer(1_000_000)}/orders/${random.integer(1_000_000)}`,
    () => `/api/v2/events/${random.uuid()}`,
  ])();
  const query = random.shuffled([
    `page=${random.integer(50)}`,
    `q=${random.pick(words)}+${random.pick(words)}`,
    `sort=${random.pick(["price", "-price", "name", "created_at"])}`,
    `utm_source=${random.pick(["newsletter", "search", "partner"])}`,
    `filter%5Bcolor%5D=${random.pick(["red", "blue", "gr%C3%BCn"])}`,
    `v=${random.hex(12)}`,
  ]);
  const length = /^\/(?:search|api\/v1\/products)/.test(path) ? 1 + random.integer(5) : random.integer(3);
  return length === 0 ? path : `${path}?${query.slice(0, length).join("&")}`;
}

const host = (random: Random): string =>
  random.pick(["shop.example.com", "www.example.org", "example.net:8080", "api.example.com", "m.example.com"]);

function cookies(random: Random): string {
  return random
    .shuffled([
      `session=${random.hex(32)}`,
      `_ga=GA1.1.${random.integer(1e9)}.${1_700_000_000 + random.integer(1e8)}`,
      `theme=${random.pick(["dark", "light"])}`,
      `consent=${random.token(24)}`,
      `cart=${random.integer(1e6)}`,
      `csrftoken=${random.token(43)}`,
    ])
    .slice(0, 1 + random.integer(6))
    .join("; ");
}

const languages: [string, ...string[]] = [
  "en-US,en;q=0.9",
  "de-DE,de;q=0.9,en;q=0.8",
  "fr,fr-FR;q=0.8,en-US;q=0.5,en;q=0.3",
  "zh-CN,zh;q=0.9",
  "ja",
];
const HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

function chrome(random: Random, isScript: boolean): Field[] {
  const version = 130 + random.integer(12);
  const [platform, system] = random.pick<[string, string]>([
    ["Windows", "Windows NT 10.0; Win64; x64"],
    ["macOS", "Macintosh; Intel Mac OS X 10_15_7"],
    ["Linux", "X11; Linux x86_64"],
    ["Android", "Linux; Android 10; K"],
  ]);
  const hints: Field[] = [
    ["sec-ch-ua-platform", `"${platform}"`],
    ["sec-ch-ua", `"Chromium";v="${version}", "Not=A?Brand";v="24", "Google Chrome";v="${version}"`],
    ["sec-ch-ua-mobile", platform === "Android" ? "?1" : "?0"],
  ];
  const agent: Field = [
    "User-Agent",
    `Mozilla/5.0 (${system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`,
  ];
  const site = random.pick(["same-origin", "none", "cross-site"]);
  const fields: Field[] = isScript
    ? [
        ...random.shuffled<Field>([...hints, agent, ["Accept", "application/json, text/plain, */*"]]),
        ["Sec-Fetch-Site", "same-origin"],
        ["Sec-Fetch-Mode", "cors"],
        ["Sec-Fetch-Dest", "empty"],
        ["Referer", `https://shop.example.com/products/${slug(random)}`],
      ]
    : [
        ...hints,
        ["Upgrade-Insecure-Requests", "1"],
        agent,
        ["Accept", `${HTML.replace("*/*;q=0.8", "image/avif,image/webp,image/apng,*/*;q=0.8")}`],
        ["Sec-Fetch-Site", site],
        ["Sec-Fetch-Mode", "navigate"],
        ["Sec-Fetch-User", "?1"],
        ["Sec-Fetch-Dest", "document"],
      ];
  return [
    ["Host", host(random)],
    ["Connection", "keep-alive"],
    ...(random.chance(0.1) ? ([["Cache-Control", "max-age=0"]] as Field[]) : []),
    ...fields,
    ["Accept-Encoding", "gzip, deflate, br, zstd"],
    ["Accept-Language", random.pick(languages)],
    ...(random.chance(0.8) ? ([["Cookie", cookies(random)]] as Field[]) : []),
  ];
}

function firefox(random: Random): Field[] {
  const version = 128 + random.integer(15);
  return [
    ["Host", host(random)],
    ["User-Agent", `Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:${version}.0) Gecko/20100101 Firefox/${version}.0`],
    ["Accept", HTML],
    ["Accept-Language", random.pick(languages)],
    ["Accept-Encoding", "gzip, deflate, br, zstd"],
    ...(random.chance(0.3) ? ([["DNT", "1"]] as Field[]) : []),
    ["Connection", "keep-alive"],
    ...(random.chance(0.8) ? ([["Cookie", cookies(random)]] as Field[]) : []),
    ["Upgrade-Insecure-Requests", "1"],
    ["Sec-Fetch-Dest", "document"],
    ["Sec-Fetch-Mode", "navigate"],
    ["Sec-Fetch-Site", random.pick(["none", "same-origin"])],
    ["Priority", "u=0, i"],
  ];
}

function safari(random: Random): Field[] {
  return [
    ["Host", host(random)],
    ["Sec-Fetch-Dest", "document"],
    [
      "User-Agent",
      `Mozilla/5.0 (iPhone; CPU iPhone OS 1${random.integer(9)}_${random.integer(7)} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/1${random.integer(9)}.0 Mobile/15E148 Safari/604.1`,
    ],
    ["Accept", HTML],
    ["Sec-Fetch-Site", random.pick(["none", "same-origin"])],
    ...(random.chance(0.8) ? ([["Cookie", cookies(random)]] as Field[]) : []),
    ["Sec-Fetch-Mode", "navigate"],
    ["Accept-Language", random.pick(languages)],
    ["Priority", "u=0, i"],
    ["Accept-Encoding", "gzip, deflate"],
    ["Connection", "keep-alive"],
  ];
}

function apiClient(random: Random): Field[] {
  const bearer = `Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.${random.token(80 + random.integer(120))}.${random.token(43)}`;
  const fields: Field[] = random.shuffled<Field>([
    [
      "User-Agent",
      random.pick([
        "curl/8.14.1",
        "python-requests/2.32.4",
        "Go-http-client/1.1",
        "okhttp/4.12.0",
        "axios/1.11.0",
        "node",
        `shop-sync/3.${random.integer(40)} (+https://example.com/sync)`,
      ]),
    ],
    ["Accept", random.pick(["*/*", "application/json", "application/json, text/plain, */*"])],
    ["Accept-Encoding", random.pick(["gzip", "gzip, deflate", "gzip, deflate, br, zstd"])],
    ["Authorization", bearer],
    ...(random.chance(0.3) ? ([["X-API-Version", `2026-0${1 + random.integer(9)}-01`]] as Field[]) : []),
  ]);
  const all: Field[] = random.chance(0.8) ? [["Host", host(random)], ...fields] : [...fields, ["Host", host(random)]];
  // Node's fetch sends lowercase names.
  return random.chance(0.3) ? all.map(([name, value]) => [name.toLowerCase(), value]) : all;
}

/** A request that a proxy has forwarded. */
function proxied(random: Random, fields: Field[]): Field[] {
  const client = `203.0.113.${random.integer(256)}`;
  const trace = `00-${random.hex(32)}-${random.hex(16)}-01`;
  const forwarded = fields.filter(([name]) => name.toLowerCase() !== "connection");
  return random.pick<() => Field[]>([
    // nginx
    () => [
      ["X-Request-Id", random.hex(32)],
      ["X-Real-IP", client],
      ["X-Forwarded-For", `${client}, 198.51.100.${random.integer(256)}`],
      ["X-Forwarded-Proto", "https"],
      ...forwarded,
    ],
    // Envoy
    () => [
      ...forwarded.map(([name, value]): Field => [name.toLowerCase(), value]),
      ["x-forwarded-for", client],
      ["x-forwarded-proto", "https"],
      ["x-envoy-expected-rq-timeout-ms", "15000"],
      ["x-request-id", random.uuid()],
      ["traceparent", trace],
    ],
    // A cloud's load balancer
    () => [
      ["X-Forwarded-For", client],
      ["X-Forwarded-Proto", "https"],
      ["X-Forwarded-Port", "443"],
      ...forwarded.slice(0, 1),
      ["X-Amzn-Trace-Id", `Root=1-${random.hex(8)}-${random.hex(24)}`],
      ...forwarded.slice(1),
    ],
    // A content delivery network
    () => [
      ...forwarded,
      ["CF-RAY", `${random.hex(16)}-FRA`],
      ["CF-Connecting-IP", client],
      ["CF-IPCountry", random.pick(["DE", "US", "JP"])],
      ["traceparent", trace],
      ["tracestate", `shop=${random.hex(16)}`],
    ],
  ])();
}

function client(random: Random): Field[] {
  const direct = random.pick<() => Field[]>([
    () => chrome(random, false),
    () => chrome(random, false),
    () => chrome(random, true),
    () => chrome(random, true),
    () => firefox(random),
    () => safari(random),
    () => apiClient(random),
    () => apiClient(random),
  ])();
  return random.chance(0.3) ? proxied(random, direct) : direct;
}

const page = (random: Random): Message => ({ method: "GET", target: target(random), fields: client(random) });

/** A request with a JSON body. */
function write(random: Random): Message {
  const items = Array.from({ length: 1 + random.integer(8) }, () => ({
    sku: slug(random),
    quantity: 1 + random.integer(9),
    price: random.integer(10_000) / 100,
  }));
  const isNew = random.chance(0.5);
  return withBody(
    isNew ? "POST" : "PUT",
    isNew ? "/api/v1/orders" : `/api/v1/users/${random.integer(1_000_000)}`,
    random.chance(0.5) ? apiClient(random) : chrome(random, true),
    "application/json",
    JSON.stringify({ name: random.pick(words), email: `${slug(random)}@example.com`, items }),
  );
}

/** A form, URL-encoded (2–6 KB) or multipart with a file (4–20 KB). */
function form(random: Random): Message {
  const sentence = (length: number): string => {
    let text = "";
    while (text.length < length) text += `${random.pick(words)}${random.chance(0.1) ? ", Grüße & more;\n" : " "}`;
    return text;
  };
  const fields: Field[] = [
    ["name", sentence(20)],
    ["email", `${slug(random)}@example.com`],
    ["topic", random.pick(words)],
    ["csrf_token", random.token(43)],
  ];
  const head = random.chance(0.5) ? chrome(random, false) : firefox(random);
  if (random.chance(0.5)) {
    const body = new URLSearchParams([...fields, ["message", sentence(1500 + random.integer(3000))]]);
    return withBody("POST", "/contact", head, "application/x-www-form-urlencoded", body.toString());
  }
  const boundary = `----WebKitFormBoundary${random.token(16).replaceAll(/[-_]/g, "x")}`;
  const part = (disposition: string, content: string): string =>
    `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${content}\r\n`;
  const file = Array.from({ length: 3500 + random.integer(16_000) }, () =>
    String.fromCharCode(random.integer(256)),
  ).join("");
  const body =
    fields.map(([name, value]) => part(`name="${name}"`, Buffer.from(value).toString("latin1"))).join("") +
    part(`name="file"; filename="${slug(random)}.webp"\r\nContent-Type: image/webp`, file) +
    `--${boundary}--\r\n`;
  return withBody("POST", "/upload", head, `multipart/form-data; boundary=${boundary}`, body);
}

function withBody(method: string, path: string, fields: Field[], type: string, body: string): Message {
  return {
    method,
    target: path,
    fields: [...fields, ["Content-Type", type], ["Content-Length", String(body.length)]],
    body,
  };
}

/** Makes a place for the unique number: in the query, in a cookie or a request id, or in a field of its own. */
function unique(message: Message, random: Random): Message {
  if (random.chance(0.3)) {
    return { ...message, target: `${message.target}${message.target.includes("?") ? "&" : "?"}_=${UNIQUE}` };
  }
  const at = message.fields.findIndex(([name]) => /^(?:cookie|x-request-id|authorization)$/i.test(name));
  const fields = message.fields.map(([name, value], i): Field => [name, i === at ? `${value}${UNIQUE}` : value]);
  return { ...message, fields: at < 0 ? [...fields, ["X-Request-Id", UNIQUE]] : fields };
}

function serialize({ method, target, fields, body = "" }: Message): string {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}
