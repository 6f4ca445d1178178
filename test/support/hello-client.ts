// A program that uses the package as an application would. Package tests run it in several environments.

import { AF_UNIX, Epoll, EPOLLIN, EpollServer, formatEvents, socketpair } from "epoll-hello";

const epoll = new Epoll();
const [here, there] = socketpair(AF_UNIX);
epoll.register(here, EPOLLIN);
there.send("hi");
const events = formatEvents(epoll.poll(1000)).replace(String(here.fileno()), "fd");
for (const each of [here, there, epoll]) each.close();

const server = new EpollServer({ port: 0 });
const response = fetch(`http://127.0.0.1:${server.port}/`).then((response) => response.text());
let text: string | undefined;
void response.then((value) => (text = value));
while (text === undefined) {
  server.tick(10);
  await Bun.sleep(0);
}
await server.stop();
console.log(`${events} ${text}`);
