// Sends requests with undici's pipelining client and fetch to the server on port argv[2]; prints what it observed as JSON.

import { createHash } from "node:crypto";
import { Client, fetch, FormData, Pool } from "undici";

const url = `http://127.0.0.1:${process.argv[2]}`;
const large = Buffer.alloc(1_000_003, "0123456789abcdef!");
const largeHash = createHash("sha256").update(large).digest("hex");
const results = {};

/** Records the result of a scenario, or its error. */
async function record(name, scenario) {
  results[name] = await scenario().catch((error) => String(error.cause ?? error));
}

async function get(dispatcher, path, method = "GET") {
  const { statusCode, body } = await dispatcher.request({ path, method });
  return `${statusCode} ${await body.text()}`;
}

async function* pieces() {
  for (let at = 0; at < large.length; at += 54_321) yield large.subarray(at, at + 54_321);
}

const client = new Client(url, { pipelining: 10 });
let connections = 0;
client.on("connect", () => connections++);

/** Requests with their expected responses. Later responses are ready long before the first. */
const kinds = [
  (i) => [`/slow?ms=${30 - (i % 30)}`, `200 after ${30 - (i % 30)} ms`],
  () => ["/hello", "200 hello"],
  () => ["/drip?pieces=2", "200 piece 2\npiece 1\n"],
];

await record("a hundred, pipelined", async () => {
  const asked = Array.from({ length: 100 }, (_, i) => kinds[i % kinds.length](i));
  const responses = await Promise.all(asked.map(([path]) => get(client, path)));
  return [responses.every((response, i) => response === asked[i][1]), connections];
});

await record("PUTs among GETs", () =>
  Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      if (i % 2 === 0) return (await get(client, "/hello")) === "200 hello" && connections === 1;
      const { body } = await client.request({ path: "/hash", method: "PUT", body: large });
      return (await body.json()).sha256 === largeHash;
    }),
  ),
);

// undici closes the connection after each HEAD, because some servers send a body.
await record("HEADs among GETs", () =>
  Promise.all(["GET", "HEAD", "GET", "HEAD"].map((method) => get(client, "/hello", method))),
);

await client.close();

await record("a thousand over five connections", async () => {
  const pool = new Pool(url, { connections: 5, pipelining: 10 });
  const responses = await Promise.all(Array.from({ length: 1000 }, () => get(pool, "/hello")));
  await pool.close();
  return responses.every((response) => response === "200 hello");
});

await record("fetch, form", async () => {
  const form = new FormData();
  form.append("a", "1");
  form.append("b", new Blob([large]), "b.bin");
  return (await fetch(`${url}/form`, { method: "POST", body: form })).json();
});

await record("fetch, aborted", async () => {
  const aborting = new AbortController();
  const waiting = fetch(`${url}/wait`, { signal: aborting.signal });
  await fetch(`${url}/waiting`); // until the server handles it: an earlier abort would only close the connection
  aborting.abort();
  return waiting.catch(({ name }) => name);
});

await record("fetch, echo", async () => {
  const response = await fetch(`${url}/echo`, { method: "POST", body: pieces(), duplex: "half" });
  return Buffer.from(await response.arrayBuffer()).equals(large);
});

process.stdout.write(JSON.stringify(results));
