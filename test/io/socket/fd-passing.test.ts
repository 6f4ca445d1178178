// File descriptors passed between two processes.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AF_UNIX, Descriptor, pipe, Socket } from "../../../src/index.ts";
import { endPrograms, start } from "../../support/programs.ts";
import { accepted, eventually } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

test("a child process and its parent read from each other's pipes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const path = join(folder, "socket");
  const [ours, oursWriter] = pipe();
  try {
    using listener = new Socket(AF_UNIX);
    listener.bind({ path });
    listener.listen();
    const child = start([
      "bun",
      "-e",
      `
      import { AF_UNIX, Descriptor, Epoll, EPOLLIN, pipe, Socket } from "./src/index.ts";
      const socket = new Socket(AF_UNIX);
      socket.connect({ path: process.argv.at(-1) });
      const epoll = new Epoll();
      epoll.register(socket, EPOLLIN);
      epoll.poll(10000);
      const { fds: [theirs] } = socket.recvFds(10, 1);
      const [reader, writer] = pipe();
      socket.sendFds("x", [reader]);
      const received = Descriptor.fromfd(theirs).read(100);
      writer.write(Buffer.from(received).toString().toUpperCase());
      `,
      path,
    ]);
    using connection = accepted(listener).socket;
    oursWriter.write("through the parent's pipe");
    connection.sendFds("x", [ours]);
    const got = eventually(connection, () => connection.recvFds(10, 1));
    using theirs = Descriptor.fromfd(got.fds[0] as number);
    expect(await child.exited).toBe(0);
    expect(Buffer.from(theirs.read(100) ?? []).toString()).toBe("THROUGH THE PARENT'S PIPE");
    expect(theirs.read(100)).toEqual(new Uint8Array(0)); // the child process has exited, which closed the write end
  } finally {
    ours.close();
    oursWriter.close();
    rmSync(folder, { recursive: true });
  }
});
