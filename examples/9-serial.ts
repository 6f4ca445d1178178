// bun examples/9-serial.ts /dev/ttyUSB0        (a GPS receiver, a modem, a microcontroller; or any terminal)
//
// A serial device on Bun's event loop: each line that it says is printed, each line that is typed goes to it.

import { constants, openSync } from "node:fs";
import { Descriptor, EPOLLHUP, EPOLLIN, formatMask, watch } from "epoll-hello";

const path = process.argv[2] ?? "/dev/ttyUSB0";
const device = Descriptor.fromfd(openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK));
await Bun.$`stty -F ${path} 115200 raw -echo`; // speed, and every byte as it is

let line = "";
const watcher = watch(device, EPOLLIN, (mask) => {
  if (mask & EPOLLHUP) {
    console.log(`unplugged: ${formatMask(mask)}`);
    watcher.close(); // first the watch, then the descriptor
    device.close();
    process.exit(1);
  }
  line += Buffer.from(device.read(4096) ?? []).toString("latin1");
  const lines = line.split("\n");
  line = lines.pop() ?? "";
  for (const each of lines) console.log(`${path}: ${each.trimEnd()}`);
});
console.log(`listening to ${path}`);

for await (const typed of console) device.write(`${typed}\r\n`);
