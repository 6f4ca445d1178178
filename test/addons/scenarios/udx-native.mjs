// UDX streams over a path that loses every twentieth datagram.

import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import UDX from "udx-native";
import { event, openDescriptors, scenario, until } from "./scenario.mjs";

const STREAMS = 4;
const BYTES = 1 << 19;

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** Relays datagrams between two ports and drops one in `every`. Returns the ports to send to. */
async function lossyRelay(portA, portB, every) {
  const [sideA, sideB] = [createSocket("udp4"), createSocket("udp4")];
  await Promise.all(
    [sideA, sideB].map((socket) => new Promise((resolve) => socket.bind(0, "127.0.0.1", resolve))),
  );
  let seen = 0;
  let dropped = 0;
  const forward = (from, to, port) =>
    from.on("message", (data) => {
      // A prime step, so that a retransmission isn't dropped each time.
      if ((++seen * 7919) % every === 0) dropped++;
      else to.send(data, port, "127.0.0.1");
    });
  forward(sideA, sideB, portB);
  forward(sideB, sideA, portA);
  return {
    toB: sideA.address().port,
    toA: sideB.address().port,
    dropped: () => dropped,
    close: () => Promise.all([sideA, sideB].map((socket) => new Promise((resolve) => socket.close(resolve)))),
  };
}

scenario("udx-native", async ({ equal, that }) => {
  const udx = new UDX();
  const before = openDescriptors();
  const [a, b] = [udx.createSocket(), udx.createSocket()];
  a.bind(0, "127.0.0.1");
  b.bind(0, "127.0.0.1");
  const relay = await lossyRelay(a.address().port, b.address().port, 20);

  const intact = await Promise.all(
    Array.from({ length: STREAMS }, async (_, index) => {
      const [idA, idB] = [2 * index + 1, 2 * index + 2];
      const [streamA, streamB] = [udx.createStream(idA), udx.createStream(idB)];
      streamA.connect(a, idB, relay.toB, "127.0.0.1");
      streamB.connect(b, idA, relay.toA, "127.0.0.1");
      const [dataA, dataB] = [randomBytes(BYTES), randomBytes(BYTES)];
      const receive = async (stream) => {
        const chunks = [];
        stream.on("data", (data) => chunks.push(data));
        await event(stream, "end");
        return sha256(Buffer.concat(chunks));
      };
      const received = Promise.all([receive(streamA), receive(streamB)]);
      const closed = Promise.all([event(streamA, "close"), event(streamB, "close")]);
      streamA.end(dataA);
      streamB.end(dataB);
      const [fromB, fromA] = await received;
      await closed;
      return fromA === sha256(dataA) && fromB === sha256(dataB);
    }),
  );
  equal("streams intact in both directions", intact.filter(Boolean).length, STREAMS);
  that("datagrams lost", relay.dropped() > 0, relay.dropped());
  await a.close();
  await b.close();
  await relay.close();
  await until(() => openDescriptors() <= before + 1);
  that("descriptors are closed", true, openDescriptors() - before);
});
