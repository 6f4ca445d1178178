// A chat, as Bun's documentation has it, on Bun.serve.

import { serve } from "bun";

export const server: Bun.Server<{ username: string }> = serve<{ username: string }>({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, own) {
    const username = new URL(request.url).searchParams.get("name") ?? "someone";
    if (own.upgrade(request, { data: { username }, headers: { "Set-Cookie": `name=${username}` } })) return;
    return new Response("Expected a WebSocket", { status: 426 });
  },
  websocket: {
    open(ws) {
      ws.subscribe("the-group-chat");
      server.publish("the-group-chat", `${ws.data.username} has entered the chat`);
    },
    message(ws, message) {
      server.publish("the-group-chat", `${ws.data.username}: ${String(message)}`);
    },
    close(ws) {
      ws.unsubscribe("the-group-chat");
      server.publish("the-group-chat", `${ws.data.username} has left the chat`);
    },
  },
});
