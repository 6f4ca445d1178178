// epoll-hello examples/deploy/app.ts --port 8801        (then: curl http://localhost:8801/)
//
// The app that the files in this folder deploy: it says who asks, and echoes WebSocket messages.

import type { EpollServerOptions, FetchHandler, WebSocketHandlers } from "epoll-hello";

const fetch: FetchHandler = (request, server) => {
  if (new URL(request.url).pathname === "/socket") {
    return server.upgrade(request) ? undefined : new Response("expected a WebSocket\n", { status: 426 });
  }
  return Response.json({
    client: server.requestIP(request)?.address ?? null,
    forwardedFor: request.headers.get("X-Forwarded-For"),
    pid: process.pid,
  });
};

const websocket: WebSocketHandlers = {
  message: (socket, message) => void socket.send(message),
};

const app: EpollServerOptions = { health: "/healthz", metrics: "/metrics", fetch, websocket };

export default app;
