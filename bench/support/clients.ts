// The header fields that browsers, API clients and proxies send.

import type { Random } from "./random.ts";
import { slug } from "./words.ts";

export type Field = [name: string, value: string];

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

export function chrome(random: Random, isScript: boolean): Field[] {
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
    ...sometimes(random, 0.1, "Cache-Control", () => "max-age=0"),
    ...fields,
    ["Accept-Encoding", "gzip, deflate, br, zstd"],
    ["Accept-Language", random.pick(languages)],
    ...sometimes(random, 0.8, "Cookie", () => cookies(random)),
  ];
}

export function firefox(random: Random): Field[] {
  const version = 128 + random.integer(15);
  return [
    ["Host", host(random)],
    ["User-Agent", `Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:${version}.0) Gecko/20100101 Firefox/${version}.0`],
    ["Accept", HTML],
    ["Accept-Language", random.pick(languages)],
    ["Accept-Encoding", "gzip, deflate, br, zstd"],
    ...sometimes(random, 0.3, "DNT", () => "1"),
    ["Connection", "keep-alive"],
    ...sometimes(random, 0.8, "Cookie", () => cookies(random)),
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
    ...sometimes(random, 0.8, "Cookie", () => cookies(random)),
    ["Sec-Fetch-Mode", "navigate"],
    ["Accept-Language", random.pick(languages)],
    ["Priority", "u=0, i"],
    ["Accept-Encoding", "gzip, deflate"],
    ["Connection", "keep-alive"],
  ];
}

export function apiClient(random: Random): Field[] {
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
    ...sometimes(random, 0.3, "X-API-Version", () => `2026-0${1 + random.integer(9)}-01`),
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

/** The fields of a client, directly or through a proxy. */
export function client(random: Random): Field[] {
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

/** Returns one field in the given share of all cases, otherwise none. */
function sometimes(random: Random, share: number, name: string, value: () => string): Field[] {
  return random.chance(share) ? [[name, value()]] : [];
}
