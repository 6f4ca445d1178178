// Unix datagram and seqpacket sockets.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DgramSocket, SeqpacketServer, SeqpacketSocket } from "node-unix-socket";
import { event, scenario } from "./scenario.mjs";

const MESSAGES = 1000;

async function datagrams(folder) {
  const [server, client] = [new DgramSocket(), new DgramSocket()];
  const path = join(folder, "datagrams");
  server.bind(path);
  let next = 0;
  const all = new Promise((resolve) =>
    server.on("data", (data) => {
      if (String(data) !== `message ${next}`) resolve(`${data} instead of message ${next}`);
      if (++next === MESSAGES) resolve(next);
    }),
  );
  for (let number = 0; number < MESSAGES; number++) {
    const data = Buffer.from(`message ${number}`);
    client.sendTo(data, 0, data.length, path);
  }
  const received = await all;
  client.close();
  server.close();
  return received;
}

async function seqpackets(folder) {
  const server = new SeqpacketServer();
  const path = join(folder, "seqpackets");
  server.listen(path);
  server.on("connection", (socket) => {
    socket.on("data", (data) => socket.write(Buffer.from(data)));
    socket.on("end", () => socket.end());
  });
  const client = new SeqpacketSocket();
  const connected = event(client, "connect");
  client.connect(path);
  await connected;
  let next = 0;
  const all = new Promise((resolve) =>
    client.on("data", (data) => {
      if (String(data) !== `packet ${next}`) resolve(`${data} instead of packet ${next}`);
      if (++next === MESSAGES) resolve(next);
    }),
  );
  for (let number = 0; number < MESSAGES; number++) client.write(Buffer.from(`packet ${number}`));
  const received = await all;
  const closed = event(client, "close");
  client.end();
  await closed;
  server.close();
  return received;
}

scenario("node-unix-socket", async ({ equal }) => {
  const folder = mkdtempSync(join(tmpdir(), "unix-sockets-"));
  equal("datagrams in order", await datagrams(folder), MESSAGES);
  equal("packets in order", await seqpackets(folder), MESSAGES);
  rmSync(folder, { recursive: true });
});
