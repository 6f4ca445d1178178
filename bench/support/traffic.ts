// Realistic requests: browsers, API clients and proxies, with thousands of paths, queries, cookies and header orders. The seed is
// fixed, so all runs get the same requests. Each contains a place for a number that makes it unique.

import { apiClient, chrome, client, type Field, firefox } from "./clients.ts";
import { Random } from "./random.ts";
import { slug, words } from "./words.ts";

export type TrafficName = "pages" | "api" | "forms";

/** Replaced in each request by a number of the same length, so that Content-Length stays correct. */
export const UNIQUE = "{unique-number!}";

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
