// Sends bytes through serialport to a device on a pseudo-terminal, then receives as many: prints both rates, in bytes per second.
// Arguments: the path, and the number of bytes.

import { SerialPort } from "serialport";

const [, , path, argument] = process.argv;
const count = Number(argument);
/** At most this many bytes are queued. */
const WINDOW = 256 << 10;

const chunk = Buffer.alloc(16 << 10, "epoll");
const port = new SerialPort({ path, baudRate: 115_200 });
let queued = 0;
let sent = 0;
let received = 0;
let start = 0;
let sendingMs = 0;

function send() {
  for (; queued < count && queued - sent < WINDOW; queued += chunk.length) {
    port.write(chunk, () => {
      sent += chunk.length;
      send();
    });
  }
}

port.on("open", () => {
  start = performance.now();
  send();
});
port.on("data", (bytes) => {
  if (received === 0) {
    sendingMs = performance.now() - start; // the device has received everything
    start = performance.now();
  }
  received += bytes.length;
  if (received < count) return;
  console.log((count * 1000) / sendingMs, (count * 1000) / (performance.now() - start));
  port.close();
});
