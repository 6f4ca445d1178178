// The one fetch handler that every contender serves: what the measures ask for, and no more.

const PIECE = new Uint8Array(65_536).fill(97);

/** `/hello`, `/collect` (the body back), `/stream` (bytes without an end, as fast as they are taken). */
export async function handlePost(request: Request): Promise<Response> {
  return new Response(await request.bytes());
}

export function handle(request: Request): Response | Promise<Response> {
  const { url } = request;
  if (url.endsWith("/hello")) return new Response("Hello from Epoll server!");
  if (url.endsWith("/collect")) return handlePost(request);
  if (url.endsWith("/stream")) {
    return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(PIECE) }));
  }
  return new Response("no such page", { status: 404 });
}
