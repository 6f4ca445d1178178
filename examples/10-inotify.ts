// bun examples/10-inotify.ts /tmp        (then create, change, rename and remove files there)
//
// Changes in a directory, reported by inotify(7), and a timer on the same event loop.

import { EPOLLIN, formatInotifyMask, IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_MOVE, Inotify, watch } from "epoll-hello";

const directory = process.argv[2] ?? "/tmp";
const inotify = new Inotify();
inotify.add(directory, IN_CREATE | IN_CLOSE_WRITE | IN_DELETE | IN_MOVE);

let events = 0;
watch(inotify, EPOLLIN, () => {
  for (const { mask, name, cookie } of inotify.read()) {
    events++;
    console.log(`${formatInotifyMask(mask)} ${name}${cookie === 0 ? "" : ` (#${cookie})`}`);
  }
});
setInterval(() => console.log(`${events} events so far`), 60_000).unref();
console.log(`watching ${directory}`);
