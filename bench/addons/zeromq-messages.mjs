// Messages from a ZeroMQ push socket to a pull socket over TCP: prints the number per second.

import { Pull, Push } from "zeromq";

const WARM_UP = 20_000;
const COUNT = 100_000;

const push = new Push();
const pull = new Pull();
await push.bind("tcp://127.0.0.1:*");
pull.connect(push.lastEndpoint);
const sent = (async () => {
  for (let i = 0; i < WARM_UP + COUNT; i++) await push.send("a short message");
})();
let start = 0;
for (let i = 0; i < WARM_UP + COUNT; i++) {
  if (i === WARM_UP) start = performance.now();
  await pull.receive();
}
const seconds = (performance.now() - start) / 1000;
await sent;
push.close();
pull.close();
console.log(COUNT / seconds);
