// Bytes on a udx-native stream over loopback: prints the number per second.

import UDX from "udx-native";

const WARM_UP = 8 << 20;
const COUNT = 64 << 20;

const udx = new UDX();
const sockets = [udx.createSocket(), udx.createSocket()];
for (const socket of sockets) socket.bind(0, "127.0.0.1");
const [from, to] = [udx.createStream(1), udx.createStream(2)];
from.connect(sockets[0], 2, sockets[1].address().port, "127.0.0.1");
to.connect(sockets[1], 1, sockets[0].address().port, "127.0.0.1");

let received = 0;
let start = 0;
let rate = 0;
to.on("data", (bytes) => {
  received += bytes.length;
  if (start === 0 && received >= WARM_UP) start = performance.now();
  if (received === WARM_UP + COUNT) rate = (COUNT * 1000) / (performance.now() - start);
});
to.on("end", () => to.end());
from.on("close", async () => {
  for (const socket of sockets) await socket.close();
  console.log(rate);
});
from.resume();

const chunk = Buffer.alloc(64 << 10, "epoll");
for (let sent = 0; sent < WARM_UP + COUNT; sent += chunk.length) {
  if (!from.write(chunk)) await new Promise((resolve) => from.once("drain", resolve));
}
from.end();
