// From uv_async_send() in another thread to the JavaScript callback, with an idle loop: prints the median in µs.
// Arguments: test/libuv/fixtures/addon.c, compiled.

import { createRequire } from "node:module";

const WARM_UP = 500;
const COUNT = 2000;
const IDLE_MS = 2;

const addon = createRequire(import.meta.url)(process.argv[2]);
const times = [];
let start = 0;
const handle = addon.async(() => {
  times.push((performance.now() - start) * 1000);
  if (times.length < WARM_UP + COUNT) return void setTimeout(send, IDLE_MS);
  addon.close(handle);
  console.log(times.slice(WARM_UP).sort((a, b) => a - b)[COUNT / 2]);
});

function send() {
  start = performance.now();
  addon.sendFromThread(handle, 1); // creating the thread is part of the time, in both runtimes
}

send();
