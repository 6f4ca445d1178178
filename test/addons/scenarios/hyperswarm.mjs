// Hyperswarm, an application on udx-native and sodium-native: peers find each other through a DHT on the loopback address.

import { createHash, randomBytes } from "node:crypto";
import createTestnet from "hyperdht/testnet.js";
import Hyperswarm from "hyperswarm";
import { event, scenario } from "./scenario.mjs";

const CLIENTS = 2;
const BYTES = 1 << 19;

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

scenario("hyperswarm", async ({ equal }) => {
  const testnet = await createTestnet(4);
  const topic = randomBytes(32);
  const server = new Hyperswarm({ bootstrap: testnet.bootstrap });
  server.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("data", (data) => socket.write(data));
  });
  await server.join(topic, { server: true, client: false }).flushed();

  const clients = Array.from({ length: CLIENTS }, () => new Hyperswarm({ bootstrap: testnet.bootstrap }));
  const intact = await Promise.all(
    clients.map(async (swarm) => {
      const connected = event(swarm, "connection");
      swarm.join(topic, { server: false, client: true });
      const [socket] = await connected;
      socket.on("error", () => {});
      const data = randomBytes(BYTES);
      const chunks = [];
      let length = 0;
      const echoed = new Promise((resolve) =>
        socket.on("data", (chunk) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length >= BYTES) resolve();
        }),
      );
      for (let offset = 0; offset < BYTES; offset += 16_384) socket.write(data.subarray(offset, offset + 16_384));
      await echoed;
      return sha256(Buffer.concat(chunks)) === sha256(data);
    }),
  );
  equal("echoes intact", intact.filter(Boolean).length, CLIENTS);
  await Promise.all(clients.map((swarm) => swarm.destroy()));
  await server.destroy();
  await testnet.destroy();
});
