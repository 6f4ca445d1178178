// A Model Context Protocol server with Server-Sent Events, as it runs on Bun.serve.

import { serve } from "bun";

interface Call {
  id: number;
  method: string;
  params?: { name?: string; arguments?: { a: number; b: number } };
}

const sessions = new Map<string, ReadableStreamDefaultController<string>>();

function resultOf({ method, params }: Call): unknown {
  switch (method) {
    case "initialize":
      return {
        protocolVersion: "2024-11-05",
        serverInfo: { name: "adder", version: "1" },
        capabilities: { tools: {} },
      };
    case "tools/list":
      return { tools: [{ name: "add", inputSchema: { type: "object" } }] };
    case "tools/call":
      return { content: [{ type: "text", text: String((params?.arguments?.a ?? 0) + (params?.arguments?.b ?? 0)) }] };
    default:
      return undefined;
  }
}

export const server: Bun.Server<undefined> = serve({
  hostname: "127.0.0.1",
  port: 0,
  routes: {
    "/sse": (request, own) => {
      own.timeout(request, 0);
      const id = `session-${sessions.size}`;
      const body = new ReadableStream<string>({
        start(controller) {
          sessions.set(id, controller);
          controller.enqueue(`event: endpoint\ndata: /messages/${id}\n\n`);
        },
        cancel: () => void sessions.delete(id),
      });
      return new Response(body, { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" } });
    },
    "/messages/:session": {
      POST: async (request) => {
        const session = sessions.get(request.params.session);
        if (session === undefined) return new Response("No such session", { status: 404 });
        const call = (await request.json()) as Call;
        const result = resultOf(call);
        const reply = result === undefined ? { error: { code: -32_601, message: "Method not found" } } : { result };
        session.enqueue(`event: message\ndata: ${JSON.stringify({ jsonrpc: "2.0", id: call.id, ...reply })}\n\n`);
        return new Response("Accepted", { status: 202 });
      },
    },
  },
});
