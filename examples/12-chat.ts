// nc -U /tmp/chat.sock        (several of them)
//
// A chat over a unix socket, on Bun's own event loop. The kernel identifies the peers (SO_PEERCRED).

import { unlinkSync } from "node:fs";
import { AF_UNIX, EPOLLIN, ErrnoError, Socket, watch } from "epoll-hello";

const path = process.argv[2] ?? "/tmp/chat.sock";
const listener = new Socket(AF_UNIX);
listener.bind({ path });
listener.listen();
const members = new Map<number, { socket: Socket; name: string }>();

watch(listener, EPOLLIN, () => {
  const connection = listener.accept();
  if (connection === null) return;
  const { socket } = connection;
  const { pid, uid } = socket.peerCredentials();
  const name = `user ${uid}, process ${pid}`;
  members.set(socket.fileno(), { socket, name });
  broadcast(`* ${name} joined`);
  const watcher = watch(socket, EPOLLIN, (_, fd) => {
    const bytes = attempt(() => socket.recv(4096));
    if (bytes === null) return;
    if (bytes !== undefined && bytes.length > 0)
      return broadcast(`${name}: ${Buffer.from(bytes).toString().trimEnd()}`, fd);
    watcher.close();
    members.delete(fd);
    socket.close();
    broadcast(`* ${name} left`);
  });
});
process.on("SIGINT", () => {
  unlinkSync(path);
  process.exit();
});
console.log(`listening on ${path}`);

function broadcast(line: string, except?: number): void {
  console.log(line);
  // A member whose send queue is full misses the line.
  for (const [fd, { socket }] of members) if (fd !== except) attempt(() => socket.send(`${line}\n`));
}

/** Returns undefined if the peer has disconnected. */
function attempt<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof ErrnoError) return undefined;
    throw error;
  }
}
