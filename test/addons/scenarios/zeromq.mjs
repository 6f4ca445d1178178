// ZeroMQ sockets: push/pull, pub/sub, request/reply, router/dealer, and sockets opened and closed without growth.

import * as zmq from "zeromq";
import { openDescriptors, scenario, until } from "./scenario.mjs";

const SOCKETS = 2000;

/** Binds to a free port of the loopback address and returns the address. */
async function bind(socket) {
  await socket.bind("tcp://127.0.0.1:*");
  return socket.lastEndpoint;
}

async function pushPull(count) {
  const push = new zmq.Push();
  const pull = new zmq.Pull();
  pull.connect(await bind(push));
  const sending = (async () => {
    for (let number = 0; number < count; number++) await push.send(String(number));
  })();
  let next = 0;
  for await (const [message] of pull) {
    if (message.toString() !== String(next)) throw new Error(`message ${next} is ${message}`);
    if (++next === count) break;
  }
  await sending;
  push.close();
  pull.close();
  return next;
}

async function pubSub(subscribers, count) {
  const publisher = new zmq.Publisher({ sendHighWaterMark: 0 });
  const address = await bind(publisher);
  const sockets = Array.from({ length: subscribers }, () => {
    const socket = new zmq.Subscriber({ receiveHighWaterMark: 0 });
    socket.connect(address);
    socket.subscribe("topic");
    return socket;
  });
  // A subscription takes effect at some time: publish until every subscriber has received a first message.
  const ready = new Set();
  const first = sockets.map(async (socket) => {
    await socket.receive();
    ready.add(socket);
  });
  while (ready.size < subscribers) {
    await publisher.send(["topic", "first"]);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(first);
  const received = sockets.map(async (socket) => {
    let next = 0;
    for await (const [, message] of socket) {
      if (message.toString() === "first") continue;
      if (message.toString() !== String(next)) throw new Error(`message ${next} is ${message}`);
      if (++next === count) break;
    }
    socket.close();
    return next;
  });
  for (let number = 0; number < count; number++) {
    await publisher.send(["other", "ignored"]);
    await publisher.send(["topic", String(number)]);
  }
  const total = (await Promise.all(received)).reduce((sum, value) => sum + value, 0);
  publisher.close();
  return total;
}

async function requestReply(count) {
  const reply = new zmq.Reply();
  const request = new zmq.Request();
  request.connect(await bind(reply));
  const serving = (async () => {
    for await (const [message] of reply) await reply.send(String(2 * Number(message)));
  })();
  let correct = 0;
  for (let number = 0; number < count; number++) {
    await request.send(String(number));
    const [answer] = await request.receive();
    if (Number(answer) === 2 * number) correct++;
  }
  request.close();
  reply.close();
  await serving;
  return correct;
}

async function routerDealer(dealers, count) {
  const router = new zmq.Router();
  const address = await bind(router);
  const serving = (async () => {
    for await (const [sender, message] of router) await router.send([sender, message]);
  })();
  const totals = await Promise.all(
    Array.from({ length: dealers }, async (_, index) => {
      const dealer = new zmq.Dealer({ routingId: `dealer ${index}` });
      dealer.connect(address);
      let correct = 0;
      for (let number = 0; number < count; number++) {
        await dealer.send(`${index} ${number}`);
        const [answer] = await dealer.receive();
        if (answer.toString() === `${index} ${number}`) correct++;
      }
      dealer.close();
      return correct;
    }),
  );
  router.close();
  await serving;
  return totals.reduce((sum, value) => sum + value, 0);
}

scenario("zeromq", async ({ equal, that }) => {
  zmq.context.blocky = false;
  zmq.context.maxSockets = 4096;
  equal("push/pull messages in order", await pushPull(20_000), 20_000);
  equal("pub/sub messages in order", await pubSub(5, 1000), 5000);
  equal("request/reply round trips", await requestReply(1000), 1000);
  equal("router/dealer round trips", await routerDealer(4, 300), 1200);

  const before = openDescriptors();
  for (let opened = 0; opened < SOCKETS; opened += 100) {
    const sockets = Array.from({ length: 100 }, () => new zmq.Pair({ linger: 0 }));
    for (const socket of sockets) socket.close();
  }
  // A thread of ZeroMQ closes the sockets.
  await until(() => openDescriptors() <= before + 10);
  that("descriptors after 2000 sockets", openDescriptors() <= before + 10, openDescriptors() - before);
});
