// nc 127.0.0.1 8804        (then type: set a 1, get a, who, quit)
//
// A protocol of lines. A line may come in pieces, and several in one; one that does not end is cut off.

import { EpollServer, type ServerSocket } from "epoll-hello";

const MAX_LINE = 1024;
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
      for (const line of lines) answer(socket, line.trim());
      if (socket.data.length > MAX_LINE) socket.end("error: the line is too long\n");
    },
    error(socket, error) {
      console.error(error);
      socket.terminate();
    },
  },
});

function answer(socket: ServerSocket<string>, line: string): void {
  const [command, key = "", ...rest] = line.split(" ");
  if (command === "get") socket.write(`${values.get(key) ?? "nothing"}\n`);
  else if (command === "set") socket.write(`${values.set(key, rest.join(" ")).size} kept\n`);
  else if (command === "who") socket.write(`${JSON.stringify(socket.peer)}, ${socket.bytesIn} bytes\n`);
  else if (command === "quit") socket.end("bye\n");
  else socket.write("error: get KEY, set KEY VALUE, who, quit\n");
}

console.log(`listening on ${server.port}`);
server.run();
