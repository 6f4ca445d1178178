// nc 127.0.0.1 8804        (then type: set a 1, get a, info, quit)
//
// A line-based protocol. A line may arrive in several chunks, and a chunk may contain several lines. A client whose line is
// too long is disconnected.

import { EpollServer, type ServerSocket } from "epoll-hello";

const MAX_LINE_LENGTH = 1024;
const values = new Map<string, string>();

const server = new EpollServer({
  hostname: "127.0.0.1",
  port: Number(process.argv[2] ?? 8804),
  idleTimeoutMs: 300_000,
  socket: {
    open(socket: ServerSocket<string>) {
      socket.data = "";
      socket.write("ready\n");
    },
    data(socket, bytes) {
      const lines = `${socket.data}${new TextDecoder().decode(bytes)}`.split("\n");
      socket.data = lines.pop() ?? "";
      for (const line of lines) handleLine(socket, line.trim());
      if (socket.data.length > MAX_LINE_LENGTH) socket.end(`error: a line has at most ${MAX_LINE_LENGTH} characters\n`);
    },
    error(socket, error) {
      console.error(error);
      socket.terminate();
    },
  },
});

function handleLine(socket: ServerSocket<string>, line: string): void {
  const [command, key = "", ...rest] = line.split(" ");
  if (command === "get") socket.write(`${values.get(key) ?? "(not set)"}\n`);
  else if (command === "set") socket.write(`${values.set(key, rest.join(" ")).size} keys\n`);
  else if (command === "info") socket.write(`${JSON.stringify(socket.peer)}, ${socket.bytesIn} bytes\n`);
  else if (command === "quit") socket.end("bye\n");
  else socket.write("error: use get KEY, set KEY VALUE, info or quit\n");
}

console.log(`listening on ${server.port}`);
server.run();
