// bun --preload epoll-hello/libuv examples/17-serial-port.ts /dev/ttyUSB0        (without a path, it simulates a device)
//
// The npm package serialport, a native addon that needs libuv: prints each line that the device sends, and sends each line that
// you type. The open port keeps the process alive; Ctrl-D closes it.

import { createInterface } from "node:readline";
import { ReadlineParser, SerialPort } from "serialport";
import { libuvVersion, loadedAddons } from "epoll-hello/libuv";

const path = process.argv[2] ?? (await simulateDevice());
const port = new SerialPort({ path, baudRate: 115_200 });
port.on("open", () => {
  for (const { functions } of loadedAddons())
    console.log(`serialport uses ${functions.length} functions of libuv ${libuvVersion()}`);
  console.log(`listening to ${path}`);
});
port.on("error", ({ message }) => console.error(message));
port.on("close", (error: Error | null) => console.log(error ? `unplugged: ${error.message}` : "closed"));
port.pipe(new ReadlineParser()).on("data", (line: string) => console.log(`${path}: ${line.trimEnd()}`));

for await (const typed of createInterface({ input: process.stdin })) port.write(`${typed}\r\n`);
port.end(() => port.drain(() => port.close())); // closes the port once all lines were written and transmitted

/** Simulates a thermometer on a pseudo-terminal, which reports a temperature for each line. Returns the terminal's path. */
async function simulateDevice(): Promise<string> {
  const opened = Promise.withResolvers<string>();
  const terminal = new Bun.Terminal({
    data(_, bytes) {
      const text = Buffer.from(bytes).toString();
      if (text.startsWith("/dev/")) opened.resolve(text.trim());
      else for (const _line of text.match(/\n/g) ?? []) terminal.write(`${(20 + 2 * Math.random()).toFixed(1)} °C\r\n`);
    },
  });
  // The child keeps the terminal open, and prints its path.
  const holder = Bun.spawn(["sh", "-c", "stty raw -echo; tty; exec sleep infinity"], { terminal });
  holder.unref();
  terminal.unref();
  process.on("exit", () => holder.kill());
  return opened.promise;
}
