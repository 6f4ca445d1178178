// Round trips between a ZeroMQ request and reply socket over TCP: prints the median in µs.

import { Reply, Request } from "zeromq";

const WARM_UP = 2000;
const COUNT = 8000;

const reply = new Reply();
const request = new Request();
await reply.bind("tcp://127.0.0.1:*");
request.connect(reply.lastEndpoint);
void (async () => {
  for await (const message of reply) await reply.send(message);
})();
const times = [];
for (let i = 0; i < WARM_UP + COUNT; i++) {
  const start = performance.now();
  await request.send("x");
  await request.receive();
  if (i >= WARM_UP) times.push((performance.now() - start) * 1000);
}
request.close();
reply.close();
console.log(times.sort((a, b) => a - b)[COUNT / 2]);
