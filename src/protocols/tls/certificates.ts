// Reads and checks the certificates and keys of the tls option: what is wrong with them is said when the server is created.

import { Buffer } from "node:buffer";
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { invalidType, invalidValue } from "../../kernel/errors.ts";
import { nodeFs } from "../../kernel/node-fs.ts";
import type { Pem, TlsOptions } from "./tls-options.ts";

/** The PEM texts of one element of the tls option. */
export interface Certificates {
  readonly cert: readonly Buffer[];
  readonly key: readonly Buffer[];
  readonly ca: readonly Buffer[] | undefined;
  readonly crl: readonly Buffer[] | undefined;
  /** The host names in the certificates, in lower case. */
  readonly names: readonly string[];
}

/**
 * Reads the certificates and keys, and checks that they belong together.
 *
 * @param name the name of the option, for errors
 * @throws {TypeError} if a value has the wrong type, or if there is no key or no certificate
 * @throws {RangeError} if a key or a certificate is not valid, or they do not belong together
 * @throws {Error} Node's error if a file cannot be read
 */
export function readCertificates(name: string, options: TlsOptions): Certificates {
  const { passphrase } = options;
  const cert = read(`${name}.cert`, options.cert, `${name}.certFile`, options.certFile);
  const key = read(`${name}.key`, options.key, `${name}.keyFile`, options.keyFile);
  if (cert === undefined || key === undefined) {
    const missing = [...(key === undefined ? ["key"] : []), ...(cert === undefined ? ["cert"] : [])].join(" and no ");
    throw invalidValue(
      `${name} has no ${missing}: it takes both, such as { key: Bun.file("key.pem"), cert: Bun.file("cert.pem") }`,
    );
  }
  if (passphrase !== undefined && typeof passphrase !== "string") {
    throw invalidType(`${name}.passphrase`, "a string", passphrase);
  }
  const keys = key.map((pem) => parseKey(`${name}.key`, pem, passphrase));
  const parsed = cert.map((pem) => parseCertificate(`${name}.cert`, pem));
  for (const certificate of parsed) {
    if (keys.some((one) => certificate.checkPrivateKey(one))) continue;
    throw invalidValue(
      `${name}.key does not belong to the certificate of ${describe(certificate)}: pass the key that the certificate was requested with`,
    );
  }
  return {
    cert,
    key,
    ca: readCertificateList(`${name}.ca`, read(`${name}.ca`, options.ca, `${name}.caFile`, options.caFile)),
    crl: read(`${name}.crl`, options.crl),
    names: parsed.flatMap(namesOf),
  };
}

function read(name: string, value: unknown, fileName = name, path?: unknown): Buffer[] | undefined {
  if (path !== undefined && path !== null) {
    if (value !== undefined && value !== null)
      throw invalidValue(`${name} and ${fileName} are both set: choose one of them`);
    if (typeof path !== "string" || path === "") throw invalidType(fileName, "the path of a file", path);
    return [readFile(fileName, path)];
  }
  if (value === undefined || value === null) return undefined;
  const values = Array.isArray(value) ? (value as unknown[]) : [value];
  return values.length === 0 ? undefined : values.map((one) => toPem(name, one));
}

function toPem(name: string, value: unknown): Buffer {
  if (typeof value === "string") {
    if (value.includes("-----BEGIN ")) return Buffer.from(value);
    const isPath = value.length < 4096 && !value.includes("\n");
    const hint = isPath ? `; if it is a path, use ${name}File or Bun.file(path)` : "";
    throw invalidValue(`${name} is not in the PEM format: it has no line that begins with "-----BEGIN "${hint}`);
  }
  if (ArrayBuffer.isView(value)) return Buffer.from(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return Buffer.from(new Uint8Array(value));
  const { name: path } = (value ?? {}) as Pem & { name?: unknown };
  if (value instanceof Blob && typeof path === "string") return readFile(name, path);
  throw invalidType(name, "PEM text, its bytes, a file (Bun.file), or an array of these", value);
}

function readFile(name: string, path: string): Buffer {
  try {
    return nodeFs().readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw Object.assign(new Error(`${name} cannot be read: ${message}`, { cause: error }), { code });
  }
}

function parseKey(name: string, key: Buffer, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? { key } : { key, passphrase });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_MISSING_PASSPHRASE") throw invalidValue(`${name} is encrypted: set passphrase`);
    if (code === "ERR_OSSL_BAD_DECRYPT") throw invalidValue(`${name} cannot be decrypted: the passphrase is wrong`);
    throw invalidValue(`${name} is not a private key in the PEM format: ${reasonOf(message)}`);
  }
}

function parseCertificate(name: string, pem: Buffer): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw invalidValue(`${name} is not a certificate in the PEM format: ${reasonOf((error as Error).message)}`);
  }
}

function readCertificateList(name: string, list: Buffer[] | undefined): Buffer[] | undefined {
  for (const pem of list ?? []) void parseCertificate(name, pem);
  return list;
}

/** Returns the last part of `error:0900006e:PEM routines:OPENSSL_internal:NO_START_LINE`, in words. */
function reasonOf(message: string): string {
  return (message.split(":").at(-1) ?? message).trim().replaceAll("_", " ").toLowerCase();
}

function describe(certificate: X509Certificate): string {
  const names = namesOf(certificate);
  return names.length > 0 ? names.join(", ") : certificate.subject.replaceAll("\n", ", ");
}

/** The DNS names of a certificate: RFC 5280, 4.2.1.6. Without any, its common name. */
function namesOf({ subjectAltName, subject }: X509Certificate): string[] {
  const names = [...(subjectAltName ?? "").matchAll(/(?:^|, )DNS:([^,"]+)/g)].map(([, name]) => name as string);
  const commonName = /^CN=(.*)$/m.exec(subject ?? "")?.[1];
  return (names.length > 0 || commonName === undefined ? names : [commonName]).map((name) => name.toLowerCase());
}
