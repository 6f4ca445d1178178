// Sends all kinds of requests with Node's http to the server on port argv[2]; prints what it observed as JSON.

import { createHash } from "node:crypto";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const port = Number(process.argv[2]);
const large = Buffer.alloc(1_000_003, "0123456789abcdef!");
const largeHash = createHash("sha256").update(large).digest("hex");
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const results = {};

/** Records the result of a scenario, or its error. */
async function record(name, scenario) {
  results[name] = await scenario().catch((error) => String(error));
}

/** Sends a request; `send` writes its body and ends it. */
function ask(path, options = {}, send = (outgoing) => outgoing.end()) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, agent, ...options }, async (incoming) => {
      const chunks = [];
      try {
        for await (const chunk of incoming) chunks.push(chunk);
        resolve({ incoming, body: Buffer.concat(chunks), reused: outgoing.reusedSocket });
      } catch (error) {
        reject(error);
      }
    });
    outgoing.on("error", reject);
    send(outgoing);
  });
}

const isHashed = (body) => {
  const { bytes, sha256 } = JSON.parse(body.toString());
  return bytes === large.length && sha256 === largeHash;
};

function* pieces() {
  for (let at = 0; at < large.length; at += 12_345) yield large.subarray(at, at + 12_345);
}

/** Sends the body chunked. The request reports errors. */
const sendPieces = (outgoing) => void pipeline(Readable.from(pieces()), outgoing).catch(() => {});

await record("keep-alive", async () => {
  const responses = [];
  for (const path of ["/hello", "/drip?pieces=2", "/nowhere", "/slow?ms=3", "/bytes?bytes=100000", "/hello"]) {
    const { incoming, body, reused } = await ask(path);
    responses.push([incoming.statusCode, body.length, reused]);
  }
  return responses;
});

await record("HEAD", async () => {
  const { incoming, body, reused } = await ask("/bytes?bytes=100000", { method: "HEAD" });
  return [incoming.headers["content-length"], body.length, reused];
});

await record("body by length", async () => {
  const headers = { "Content-Length": large.length };
  const { body, reused } = await ask("/hash", { method: "POST", headers }, (outgoing) => outgoing.end(large));
  return [isHashed(body), reused];
});

await record("body by chunks", async () => {
  const { body, reused } = await ask("/hash", { method: "POST" }, sendPieces);
  return [isHashed(body), reused];
});

await record("Expect: 100-continue", async () => {
  const events = [];
  const headers = { "Content-Length": large.length, Expect: "100-continue" };
  const { body, reused } = await ask("/hash", { method: "POST", headers }, (outgoing) => {
    outgoing.on("information", ({ statusCode }) => events.push(statusCode));
    outgoing.on("continue", () => {
      events.push("continue");
      outgoing.end(large);
    });
    outgoing.flushHeaders();
  });
  return [...events, isHashed(body), reused];
});

await record("Expect: 100-continue, unread", async () => {
  const events = [];
  const headers = { "Content-Length": large.length, Expect: "100-continue" };
  const { incoming, body } = await ask("/ignore", { method: "POST", headers }, (outgoing) => {
    outgoing.on("continue", () => events.push("continue"));
    outgoing.flushHeaders();
  });
  return [...events, incoming.headers["connection"], body.toString()];
});

await record("after a closed connection", async () => {
  const { body, reused } = await ask("/headers", { headers: { "X-Two": ["a", "b"] } });
  return [JSON.parse(body.toString())["x-two"], reused];
});

await record("an upgrade that is ignored", async () => {
  const headers = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__" };
  const { incoming, body } = await ask("/hello", { headers, agent: false });
  return [incoming.statusCode, body.toString()];
});

await record("pipelined by hand, and half-closed", () => {
  const targets = ["/slow?ms=20", "/hello", "/drip?pieces=2", "/slow?ms=1", "/nowhere", "/hello"];
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("data", (bytes) => (text += bytes.toString("latin1")));
    socket.on("error", reject);
    socket.on("end", () => resolve(text.match(/(?<=HTTP\/1\.1 )\d+|hello|after \d+|piece \d|no such page/g)));
    socket.end(targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
  });
});

await record("echo", async () => {
  const { body, reused } = await ask("/echo", { method: "POST" }, sendPieces);
  return [body.equals(large), reused];
});

agent.destroy();
process.stdout.write(JSON.stringify(results));
