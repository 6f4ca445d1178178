// Reads a line from standard input through a Descriptor, repeats it, and ends in the way that the argument says.

import { Descriptor, EPOLLIN, watch } from "../../src/index.ts";

const end = process.argv[2];
const stdin = Descriptor.fromfd(0);
const stdout = Descriptor.fromfd(1);
let text = "";
stdout.write(`empty: ${stdin.read(100) === null}\n`);
const watcher = watch(stdin, EPOLLIN, () => {
  for (let bytes; (bytes = stdin.read(1)) !== null && bytes.length > 0 && !text.endsWith("\n");) {
    text += Buffer.from(bytes).toString();
  }
  if (!text.endsWith("\n")) return;
  stdout.write(`read: ${text}`);
  watcher.close();
  if (end === "close") stdin.close();
  else if (end === "detach") Descriptor.fromfd(Descriptor.fromfd(stdin.detach()).dup());
  else if (end !== "exit") process.kill(process.pid, end as NodeJS.Signals);
});
