// Certificates for tests, TLS clients, and the bytes that TLS clients send.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";

const folder = join(import.meta.dir, "certificates");

/** Returns the path of a file of test/support/certificates. */
export function certificatePath(name: string): string {
  return join(folder, name);
}

export function pem(name: string): string {
  return readFileSync(certificatePath(name), "utf8");
}

/** The authority that has issued the certificates of servers and of the client. */
export const ca: string = pem("ca.pem");

/** Returns a certificate and its key. */
export function pair(name: "server" | "renewed" | "example" | "client" | "stranger"): { key: string; cert: string } {
  return { key: pem(`${name}-key.pem`), cert: pem(`${name}.pem`) };
}

/** A TLS client, and what it has received. */
export interface TlsClient {
  readonly socket: TLSSocket;
  readonly text: () => string;
  readonly isSecure: () => boolean;
  readonly hasEnded: () => boolean;
  readonly isClosed: () => boolean;
  readonly error: () => (Error & { code?: string }) | undefined;
}

/** Connects a TLS client to a port of 127.0.0.1. */
export function tlsClient(port: number, options: ConnectionOptions = {}): TlsClient {
  const socket = connect({ host: "127.0.0.1", port, servername: "localhost", ca, ...options });
  const parts: Buffer[] = [];
  let hasEnded = false;
  let isClosed = false;
  let isSecure = false;
  let error: Error | undefined;
  socket.on("data", (bytes: Buffer) => parts.push(bytes));
  socket.on("secureConnect", () => (isSecure = true));
  socket.on("end", () => (hasEnded = true));
  socket.on("error", (failure) => (error ??= failure));
  socket.on("close", () => (isClosed = true));
  return {
    socket,
    text: () => Buffer.concat(parts).toString("latin1"),
    isSecure: () => isSecure,
    hasEnded: () => hasEnded,
    isClosed: () => isClosed,
    error: () => error,
  };
}

/** Returns the first message of a TLS client. */
export async function clientHello(options: ConnectionOptions = {}): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const stream = new Duplex({ read() {}, write: (bytes: Buffer) => resolve(Buffer.from(bytes)) });
  const socket = connect({ socket: stream, servername: "localhost", ca, ...options });
  socket.on("error", () => {});
  const hello = await promise;
  socket.destroy();
  return hello;
}
