// nc -U /tmp/chat.sock        (several of them)
//
// A chat over a unix socket, on Bun's own event loop. The kernel says who each one is.

import { unlinkSync } from "node:fs";
import { AF_UNIX, EPOLLIN, ErrnoError, Socket, watch } from "epoll-hello";

const path = process.argv[2] ?? "/tmp/chat.sock";
const listener = new Socket(AF_UNIX);
listener.bind({ path });
listener.listen();
const people = new Map<number, { socket: Socket; name: string }>();

watch(listener, EPOLLIN, () => {
  const connection = listener.accept();
  if (connection === null) return;
  const { socket } = connection;
  const { pid, uid } = socket.peerCredentials();
  const name = `user ${uid}, process ${pid}`;
  people.set(socket.fileno(), { socket, name });
  tell(`* ${name} is here`);
  const watcher = watch(socket, EPOLLIN, (_, fd) => {
    const bytes = attempt(() => socket.recv(4096));
    if (bytes === null) return;
    if (bytes !== undefined && bytes.length > 0) return tell(`${name}: ${Buffer.from(bytes).toString().trimEnd()}`, fd);
    watcher.close();
    people.delete(fd);
    socket.close();
    tell(`* ${name} has gone`);
  });
});
process.on("SIGINT", () => {
  unlinkSync(path);
  process.exit();
});
console.log(`listening on ${path}`);

function tell(line: string, except?: number): void {
  console.log(line);
  for (const [fd, { socket }] of people) if (fd !== except) attempt(() => socket.send(`${line}\n`)); // who does not read, misses it
}

/** Undefined if the other one is gone. */
function attempt<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof ErrnoError) return undefined;
    throw error;
  }
}
