// The bodies that the server and the clients of a soak agree on, so that each reply can be checked byte by byte.

/** Returns a body that differs for each id. */
export function bodyOf(id: string, bytes: number): Buffer<ArrayBuffer> {
  return bytes === 0 ? Buffer.alloc(0) : Buffer.alloc(bytes, `${id};`);
}

/** Returns what the server responds to an upload. */
export function receiptOf(body: Uint8Array): string {
  return `${body.length} ${Bun.hash.crc32(body)}`;
}
