// From uv_async_send() in another thread to its callback, with an idle loop: prints the median in µs. Argument: wake-up.c, compiled.

import { createRequire } from "node:module";

const COUNT = 1000;

createRequire(import.meta.url)(process.argv[2]).measure(COUNT, (us) => console.log(us));
