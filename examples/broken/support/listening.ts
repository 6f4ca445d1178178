// The socket on which each of these programs listens.

import { type InternetAddress, Socket } from "epoll-hello";

/** Returns a socket bound to the port in the arguments, or to any free one, which listens and prints its port. */
export function listening(): Socket {
  const listener = new Socket();
  listener.bind({ address: "127.0.0.1", port: Number(process.argv[2] ?? 0) });
  listener.listen();
  console.log("listening on", (listener.getsockname() as InternetAddress).port);
  return listener;
}
