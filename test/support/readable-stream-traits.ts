// A program that prints what can be observed of the global ReadableStream, as it is or as an EpollServer replaces it.

import { EpollServer } from "../../src/index.ts";

if (process.argv[2] === "replaced") {
  for (let i = 0; i < 2; i++) {
    await using _server = new EpollServer({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  }
}
const { ReadableStream } = globalThis;
const web = await import("node:stream/web");
const { Readable } = await import("node:stream");
const print = (name: string, value: unknown): void => void process.stdout.write(`${name} ${String(value)}\n`);

print("name", ReadableStream.name);
print("length", ReadableStream.length);
print("typeof", typeof ReadableStream);
print("toString", Object.prototype.toString.call(ReadableStream));
print("keys", Reflect.ownKeys(ReadableStream).map(String));
print("parent", Object.getPrototypeOf(ReadableStream) === Function.prototype);
for (const [name, object] of [
  ["ReadableStream", globalThis],
  ["constructor", ReadableStream.prototype],
  ["ReadableStream", process.getBuiltinModule("node:stream/web")],
  ["prototype", ReadableStream],
  ["from", ReadableStream],
] as const) {
  const { writable, enumerable, configurable, value } = Object.getOwnPropertyDescriptor(object, name) ?? {};
  print(name, JSON.stringify([writable, enumerable, configurable, typeof value]));
}
print("node:stream/web", (web.ReadableStream as unknown) === ReadableStream);

class Extended extends (ReadableStream as new (source: unknown) => ReadableStream) {
  extra = 1;
}
const streams: Record<string, () => unknown> = {
  "new ReadableStream": () => new ReadableStream(),
  extended: () => new Extended({ type: "bytes" }),
  from: () => (ReadableStream as unknown as { from(values: unknown[]): unknown }).from([1]),
  response: () => new Response("a").body,
  request: () => new Request("http://a", { method: "POST", body: "a" }).body,
  blob: () => new Blob(["a"]).stream(),
  transform: () => new TransformStream().readable,
  "from node": () => Readable.toWeb(Readable.from(["a"])),
  tee: () => new ReadableStream().tee()[0],
};
for (const [name, make] of Object.entries(streams)) {
  const stream = make() as ReadableStream;
  print(name, [
    stream instanceof ReadableStream,
    stream instanceof Extended,
    stream.constructor === ReadableStream,
    Object.prototype.toString.call(stream),
    Bun.inspect(stream).split("\n")[0],
  ]);
}
const failing: Record<string, () => unknown> = {
  call: () => (ReadableStream as unknown as () => unknown)(),
  number: () => new ReadableStream(1 as never),
  null: () => new ReadableStream(null as never),
  type: () => new ReadableStream({ type: "a" } as never),
  start: () => new ReadableStream({ start: 1 } as never),
  size: () => new ReadableStream(undefined, { size: 1 } as never),
  "highWaterMark of bytes": () => new ReadableStream({ type: "bytes" }, { highWaterMark: -1 }),
  clone: () => structuredClone(new ReadableStream()),
};
for (const [name, fail] of Object.entries(failing)) {
  try {
    print(name, fail());
  } catch (error) {
    const { code, message } = error as Error & { code: unknown };
    print(name, `${(error as Error).constructor.name} ${String(code)} ${message}`);
  }
}
let order = "";
const strategy = {
  get highWaterMark() {
    return ((order += "h"), 1);
  },
  get size() {
    return void (order += "s");
  },
};
for (const source of [undefined, { pull: (c: ReadableStreamDefaultController) => (c.enqueue("a"), c.close()) }]) {
  const stream = new ReadableStream(source as never, strategy as never);
  if (source !== undefined) for await (const chunk of stream) print("chunk", chunk);
}
print("order", order);
