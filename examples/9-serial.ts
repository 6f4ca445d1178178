// bun examples/9-serial.ts /dev/ttyUSB0        (a GPS receiver, a modem, a microcontroller, or any terminal)
//
// A serial device on Bun's event loop: prints each line that it sends, and sends each line that you type.

import { constants, openSync } from "node:fs";
import { createInterface } from "node:readline";
import { Descriptor, EPOLLHUP, EPOLLIN, formatMask, watch } from "epoll-hello";

const path = process.argv[2] ?? "/dev/ttyUSB0";
const device = Descriptor.fromfd(openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK));
await Bun.$`stty -F ${path} 115200 raw -echo`; // set the speed, and pass every byte unchanged

let line = "";
const watcher = watch(device, EPOLLIN, (mask) => {
  if (mask & EPOLLIN) print(read()); // before EPOLLHUP: both may be reported together, with bytes left to read
  if (mask & EPOLLHUP) {
    console.log(`unplugged: ${formatMask(mask)}`);
    watcher.close(); // first the watch, then the fd
    device.close();
    process.exit(1);
  }
});
console.log(`listening to ${path}`);

for await (const typed of createInterface({ input: process.stdin })) device.write(`${typed}\r\n`);

function read(): string {
  let text = "";
  try {
    for (let bytes; (bytes = device.read(4096)) !== null && bytes.length > 0;)
      text += Buffer.from(bytes).toString("latin1");
  } catch {
    // EIO: a terminal whose other side is closed reports this instead of end of stream
  }
  return text;
}

function print(text: string): void {
  const lines = `${line}${text}`.split("\n");
  line = lines.pop() ?? "";
  for (const each of lines) console.log(`${path}: ${each.trimEnd()}`);
}
