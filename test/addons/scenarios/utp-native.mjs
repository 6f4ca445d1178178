// uTP connections: four clients at once, each echoes half a megabyte.

import { createHash, randomBytes } from "node:crypto";
import utp from "utp-native";
import { event, scenario } from "./scenario.mjs";

const CLIENTS = 4;
const BYTES = 1 << 19;

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

scenario("utp-native", async ({ equal }) => {
  const server = utp.createServer((socket) => socket.pipe(socket));
  server.listen(0, "127.0.0.1");
  await event(server, "listening");
  const { port } = server.address();
  const intact = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const socket = utp.connect(port, "127.0.0.1");
      const data = randomBytes(BYTES);
      const chunks = [];
      socket.on("data", (chunk) => chunks.push(chunk));
      const ended = event(socket, "end");
      const closed = event(socket, "close");
      socket.write(data);
      socket.end();
      await ended;
      await closed;
      return sha256(Buffer.concat(chunks)) === sha256(data);
    }),
  );
  equal("echoes intact", intact.filter(Boolean).length, CLIENTS);
  await new Promise((resolve) => server.close(resolve));
});
