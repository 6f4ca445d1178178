// Serves each case of callback-errors.ts with start(), twice, and prints which errors were uncaught and what the clients saw.

import { EpollServer } from "../../src/index.ts";
import { callbackErrorCases, GET } from "./callback-errors.ts";
import { eventually } from "./eventually.ts";

let errors: string[] = [];
process.on("uncaughtException", (error) => void errors.push(error.message));
process.on("unhandledRejection", (error) => void errors.push(`rejection: ${(error as Error).message}`));

/** Sends the input and returns how the connection ended. */
async function fate(port: number, input: string): Promise<string> {
  const ended = Promise.withResolvers<string>();
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(input),
      data() {},
      close: (_, error) => ended.resolve(error === undefined ? "closed" : String((error as { code?: string }).code)),
    },
  });
  return ended.promise;
}

for (const { name, input = GET, options } of callbackErrorCases) {
  errors = [];
  const server = new EpollServer({ hostname: "127.0.0.1", ...options });
  await server.start();
  const fates: string[] = [];
  for (let round = 1; round <= 2; round++) {
    fates.push(await fate(server.port as number, input));
    await eventually(
      () => errors.length,
      (count) => count >= round,
    );
  }
  await eventually(
    () => server.stats.open,
    (open) => open === 0,
  );
  await server.stop({ graceMs: 0 });
  console.log(JSON.stringify({ name, fates, errors }));
}
