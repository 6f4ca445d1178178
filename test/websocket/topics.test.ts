// publish and subscribe: who gets a message, what is returned, and when it is sent.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { ServerWebSocket, Socket, WebSocketHandlers } from "../../src/index.ts";
import { type Subscriber, Topics } from "../../src/protocols/websocket/topics.ts";
import { frame, framesOf, upgradeRequest } from "../support/raw-websocket.ts";
import { ServerHarness, sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

/** A chat: the first word of a message is a command. */
const handlers: WebSocketHandlers = {
  message(ws, message) {
    const [command = "", topic = "", data = ""] = String(message).split(" ");
    if (command === "join") ws.subscribe(topic);
    else if (command === "leave") ws.unsubscribe(topic);
    else ws.send(`${ws.publish(topic, data)}`);
  },
};

class Chat extends ServerHarness {
  constructor(websocket: WebSocketHandlers = handlers, sys?: ConstructorParameters<typeof ServerHarness>[1]) {
    super({ fetch: (request, server) => void server.upgrade(request), websocket }, sys);
  }

  join(...topics: string[]): Socket {
    const client = this.client(upgradeRequest());
    this.receive(client, /\r\n\r\n$/);
    for (const topic of topics) client.send(frame(1, `join ${topic}`));
    this.settle();
    return client;
  }

  say(client: Socket, text: string): void {
    client.send(frame(1, text));
    this.settle();
  }

  received(client: Socket): string[] {
    const bytes = client.recv(1_000_000);
    return bytes === null ? [] : framesOf(`\r\n\r\n${Buffer.from(bytes).toString("latin1")}`);
  }
}

test("a message reaches all other subscribers, once each", () => {
  using chat = new Chat();
  const [ann, bob, eve] = [chat.join("news", "sport"), chat.join("news"), chat.join("sport")] as const;
  chat.say(ann, "say news hello");
  expect([ann, bob, eve].map((client) => chat.received(client))).toEqual([["text 5"], ["text hello"], []]);
  expect(chat.server.subscriberCount("news")).toBe(2);
  chat.say(bob, "leave news");
  chat.say(ann, "say news alone");
  expect([ann, bob].map((client) => chat.received(client))).toEqual([["text 0"], []]);
});

test("publishToSelf includes the sender; server.publish reaches all", () => {
  using chat = new Chat({ ...handlers, publishToSelf: true });
  const ann = chat.join("news");
  chat.say(ann, "say news hello");
  expect(chat.received(ann)).toEqual(["text hello", "text 5"]);
  expect(chat.server.publish("news", Uint8Array.of(65, 66))).toBe(2);
  chat.settle();
  expect(chat.received(ann)).toEqual(["binary AB"]);
});

test("closed WebSockets are no longer subscribed", () => {
  using chat = new Chat();
  const [ann, bob] = [chat.join("news"), chat.join("news")] as const;
  ann.close();
  bob.send(frame(8));
  chat.settle();
  expect(chat.server.subscriberCount("news")).toBe(0);
  expect(chat.server.publish("news", "x")).toBe(0);
});

test("publishing twice in an iteration sends once to each subscriber", () => {
  let sends = 0;
  const sys = sysWith((host) => ({
    send: (...args) => {
      sends++;
      return host.send(...args);
    },
  }));
  using chat = new Chat(handlers, sys);
  const clients = [chat.join("news"), chat.join("news"), chat.join("news")];
  sends = 0;
  for (const text of ["one", "two", "three"]) chat.server.publish("news", text);
  expect(sends).toBe(0);
  chat.server.tick(0);
  expect(sends).toBe(3);
  for (const client of clients) expect(chat.received(client)).toEqual(["text one", "text two", "text three"]);
});

test("what ws.send and publish send keeps its order", () => {
  const websocket: WebSocketHandlers = {
    open: (ws) => void ws.subscribe("news"),
    message(ws) {
      ws.send("1");
      harness.server.publish("news", "2");
      ws.send("3");
    },
  };
  const harness = new Chat(websocket);
  using chat = harness;
  const client = chat.join();
  chat.say(client, "go");
  expect(chat.received(client)).toEqual(["text 1", "text 2", "text 3"]);
});

test("the result is -1 if one subscriber has backpressure, and 0 if one has dropped the message", () => {
  using chat = new Chat({ ...handlers, backpressureLimit: 8_000_000 });
  const [slow, fast] = [chat.join("news"), chat.join("news")] as const;
  const big = new Uint8Array(6_000_000);
  const drain = (): void => {
    for (let quiet = 0; quiet < 3; quiet++) {
      chat.settle();
      while (fast.recv(10_000_000) !== null) quiet = 0;
    }
  };
  const results: number[] = [];
  for (let i = 0; i < 10 && results.at(-1) !== 0; i++) {
    results.push(chat.server.publish("news", big));
    drain();
  }
  expect(results.length).toBeGreaterThan(1);
  expect(results.slice(0, -1).every((result) => result === -1)).toBe(true);
  expect(results.at(-1)).toBe(0);
  expect(chat.server.publish("news", "small")).toBe(0);
  chat.settle();
  expect(Buffer.from(fast.recv(100) ?? []).toString("latin1")).toEndWith("small");
  slow.close();
});

test("subscribing while a message is being published", () => {
  const topics = new Topics<Subscriber>();
  const a: Subscriber = { topics: undefined };
  const b: Subscriber = { topics: undefined };
  topics.subscribe(a, "x");
  const seen: Subscriber[] = [];
  for (const member of topics.subscribersOf("x") ?? []) {
    seen.push(member);
    topics.unsubscribeAll(a);
    if (seen.length === 1) topics.subscribe(b, "x");
  }
  expect(seen[0]).toBe(a);
  expect(seen.length).toBeLessThanOrEqual(2);
  expect([topics.isSubscribed(a, "x"), topics.isSubscribed(b, "x"), topics.topicsOf(a)]).toEqual([false, true, []]);
});

test("ws.subscriptions lists the topics in order", () => {
  let subscriptions: string[] = [];
  using chat = new Chat({
    message(ws: ServerWebSocket) {
      for (const topic of ["b", "a", "c", "a"]) ws.subscribe(topic);
      ws.unsubscribe("c");
      ({ subscriptions } = ws);
    },
  });
  chat.say(chat.join(), "x");
  expect(subscriptions).toEqual(["b", "a"]);
});
