// bun --preload epoll-hello/libuv examples/18-zeromq.ts 12
//
// The npm package zeromq, a native addon that needs libuv: distributes tasks to two Workers and collects the results. Each thread
// has its own libuv loop. A socket keeps its thread alive while it waits, so the process exits when the work is done.

import { isMainThread, Worker, workerData } from "node:worker_threads";
import { Pull, Push } from "zeromq";

interface Endpoints {
  tasks: string;
  results: string;
}

if (isMainThread) await distribute(Number(process.argv[2] ?? 12));
else await work(workerData as Endpoints);

async function distribute(count: number): Promise<void> {
  const tasks = new Push();
  const results = new Pull();
  await tasks.bind("tcp://127.0.0.1:*"); // a free port
  await results.bind("tcp://127.0.0.1:*");
  const endpoints: Endpoints = { tasks: tasks.lastEndpoint ?? "", results: results.lastEndpoint ?? "" };
  const workers = [1, 2].map(() => new Worker(new URL(import.meta.url), { workerData: endpoints }));
  for (const _ of workers) await results.receive(); // wait until both are connected: Push sends to each in turn
  for (let n = 1; n <= count; n++) await tasks.send(String(n));
  for (let n = 1; n <= count; n++) console.log((await results.receive()).join(""));
  for (const _ of workers) await tasks.send("end");
  tasks.close();
  results.close();
}

async function work({ tasks, results }: Endpoints): Promise<void> {
  const source = new Pull();
  const sink = new Push();
  source.connect(tasks);
  sink.connect(results);
  await sink.send("ready");
  for await (const [task] of source) {
    if (String(task) === "end") break;
    await sink.send(`${task}² = ${Number(task) ** 2}`);
  }
  source.close();
  sink.close();
}
