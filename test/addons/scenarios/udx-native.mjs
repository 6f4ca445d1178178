// UDX streams over a path that loses one datagram in twenty.

import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import UDX from "udx-native";
import { event, openDescriptors, scenario, until } from "./scenario.mjs";

const STREAMS = 4;
const BYTES = 1 << 19;

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** Returns a function whose results look random and are the same in each run (mulberry32). */
function pseudorandom(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Relays datagrams between two ports and drops a share of them. Returns the ports to send to. */
async function lossyRelay(portA, portB, share) {
  const [sideA, sideB] = [createSocket("udp4"), createSocket("udp4")];
  await Promise.all([sideA, sideB].map((socket) => new Promise((resolve) => socket.bind(0, "127.0.0.1", resolve))));
  const random = pseudorandom(1);
  let dropped = 0;
  const forward = (from, to, port) =>
    from.on("message", (data) => {
      // Not every nth: retransmissions in step with that would be lost each time.
      if (random() < share) dropped++;
      else to.send(data, port, "127.0.0.1");
    });
  forward(sideA, sideB, portB);
  forward(sideB, sideA, portA);
  return {
    toB: sideA.address().port,
    toA: sideB.address().port,
    dropped: () => dropped,
    stopLosing: () => (share = 0),
    close: () => Promise.all([sideA, sideB].map((socket) => new Promise((resolve) => socket.close(resolve)))),
  };
}

scenario("udx-native", async ({ equal, that }) => {
  const udx = new UDX();
  const before = openDescriptors();
  const [a, b] = [udx.createSocket(), udx.createSocket()];
  a.bind(0, "127.0.0.1");
  b.bind(0, "127.0.0.1");
  const relay = await lossyRelay(a.address().port, b.address().port, 0.05);

  const streams = [];
  const intact = await Promise.all(
    Array.from({ length: STREAMS }, async (_, index) => {
      const [idA, idB] = [2 * index + 1, 2 * index + 2];
      const [streamA, streamB] = [udx.createStream(idA), udx.createStream(idB)];
      streamA.connect(a, idB, relay.toB, "127.0.0.1");
      streamB.connect(b, idA, relay.toA, "127.0.0.1");
      const [dataA, dataB] = [randomBytes(BYTES), randomBytes(BYTES)];
      const receive = (stream) =>
        new Promise((resolve) => {
          const chunks = [];
          let length = 0;
          stream.on("data", (data) => {
            chunks.push(data);
            length += data.length;
            if (length >= BYTES) resolve(sha256(Buffer.concat(chunks)));
          });
        });
      const received = Promise.all([receive(streamA), receive(streamB)]);
      streamA.write(dataA);
      streamB.write(dataB);
      const [fromB, fromA] = await received;
      streams.push(streamA, streamB);
      return fromA === sha256(dataA) && fromB === sha256(dataB);
    }),
  );
  equal("streams intact in both directions", intact.filter(Boolean).length, STREAMS);
  // A stream whose last acknowledgment is lost ends with ETIMEDOUT: the peer is gone. So the ends aren't lost.
  relay.stopLosing();
  await Promise.all(
    streams.map((stream) => {
      const closed = event(stream, "close");
      stream.end();
      return closed;
    }),
  );
  that("datagrams lost", relay.dropped() > 0, relay.dropped());
  await a.close();
  await b.close();
  await relay.close();
  await until(() => openDescriptors() <= before + 1);
  that("descriptors are closed", true, openDescriptors() - before);
});
