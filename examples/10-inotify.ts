// bun examples/10-inotify.ts /tmp        (then make, change, rename and remove files there)
//
// What happens in a folder, as inotify(7) tells it, with a timer beside it on the same loop.

import { EPOLLIN, formatInotifyMask, IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_MOVE, Inotify, watch } from "epoll-hello";

const folder = process.argv[2] ?? "/tmp";
const inotify = new Inotify();
inotify.add(folder, IN_CREATE | IN_CLOSE_WRITE | IN_DELETE | IN_MOVE);

let events = 0;
watch(inotify, EPOLLIN, () => {
  for (const { mask, name, cookie } of inotify.read()) {
    events++;
    console.log(`${formatInotifyMask(mask)} ${name}${cookie === 0 ? "" : ` (#${cookie})`}`);
  }
});
setInterval(() => console.log(`${events} events so far`), 60_000).unref();
console.log(`watching ${folder}`);
