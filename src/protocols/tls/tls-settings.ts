// class TlsSettings: the tls option after validation, as the contexts of node:tls, and which of them a host name gets.

import { Buffer } from "node:buffer";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { invalidType, invalidValue, unknownOptions } from "../../kernel/errors.ts";
import { suggest } from "../../kernel/suggest.ts";
import { type Certificates, readCertificates } from "./certificates.ts";
import type { TlsOptions } from "./tls-options.ts";

const NAMES: readonly (keyof TlsOptions)[] = [
  "key",
  "cert",
  "ca",
  "crl",
  "keyFile",
  "certFile",
  "caFile",
  "passphrase",
  "serverName",
  "servername",
  "ALPNProtocols",
  "requestCert",
  "rejectUnauthorized",
  "ciphers",
  "secureOptions",
  "minVersion",
  "maxVersion",
];

/** Options of Bun.serve and node:tls that have no effect with Bun's TLS library, or none here. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  dhParamsFile: "BoringSSL, Bun's TLS library, has no DHE cipher suites",
  lowMemoryMode: "BoringSSL, Bun's TLS library, always frees the buffers that it does not need",
  clientRenegotiationLimit: "clients cannot renegotiate",
  clientRenegotiationWindow: "clients cannot renegotiate",
  SNICallback: "pass an array of objects, one for each certificate",
  pfx: "convert it to key and cert in the PEM format: openssl pkcs12 -nodes",
};

const VERSIONS = ["TLSv1.2", "TLSv1.3"];
const HTTP_PROTOCOLS: ReadonlySet<string> = new Set(["http/1.1", "http/1.0"]);

export class TlsSettings {
  /** The context of clients that ask for no host name, or for an unknown one. */
  readonly context: SecureContext;
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  /** The protocols of ALPN in their wire format; undefined: none. */
  readonly alpnProtocols: Buffer | undefined;
  /** The contexts by host name, if there are several. `"*.example.com"` is every name one level below. */
  readonly #byName = new Map<string, SecureContext>();

  /**
   * Reads the files, and checks everything.
   *
   * @param value the option: an object, or an array of objects, one for each certificate
   * @param isHttp whether the connections carry HTTP
   * @throws {TypeError} if a value has the wrong type, or a property is unknown
   * @throws {RangeError} if a key or a certificate is not valid, or they do not belong together
   * @throws {Error} Node's error if a file cannot be read
   */
  constructor(value: unknown, isHttp: boolean) {
    const list = (Array.isArray(value) ? value : [value]) as unknown[];
    const nameOf = (i: number): string => (Array.isArray(value) ? `tls[${i}]` : "tls");
    if (list.length === 0)
      throw invalidValue("tls is an empty array: pass an object with key and cert for each certificate");
    const all = list.map((options, i) => {
      checkProperties(nameOf(i), options);
      return { name: nameOf(i), options, certificates: readCertificates(nameOf(i), options) };
    });
    const contexts = all.map(({ name, options, certificates }) => createContext(name, options, certificates));
    const first = (all[0] as (typeof all)[number]).options;
    this.context = contexts[0] as SecureContext;
    this.requestCert = first.requestCert ?? false;
    this.rejectUnauthorized = this.requestCert && (first.rejectUnauthorized ?? true);
    this.alpnProtocols = wireFormat(`${nameOf(0)}.ALPNProtocols`, first.ALPNProtocols, isHttp);
    if (all.length === 1) return;
    all.forEach(({ name, options, certificates }, i) => {
      for (const shared of ["requestCert", "rejectUnauthorized", "ALPNProtocols"] as const) {
        if (i === 0 || options[shared] === undefined || options[shared] === first[shared]) continue;
        throw invalidValue(
          `${name}.${shared} differs from that of tls[0]: it is the same for all certificates of a server`,
        );
      }
      const own = options.serverName ?? options.servername;
      const names = own === undefined ? certificates.names : [own.toLowerCase()];
      if (names.length === 0) throw invalidValue(`${name}.cert names no host: set serverName`);
      for (const host of names) {
        if (!this.#byName.has(host)) this.#byName.set(host, contexts[i] as SecureContext);
        else if (own !== undefined)
          throw invalidValue(`${name}.serverName is ${JSON.stringify(own)}, as in an earlier element`);
      }
    });
  }

  /** Whether the certificate depends on the host name. */
  get hasNames(): boolean {
    return this.#byName.size > 0;
  }

  /** Returns the context for a host name: RFC 6066, 3. */
  contextFor(serverName: string): SecureContext {
    const name = serverName.toLowerCase();
    const parent = name.indexOf(".");
    return this.#byName.get(name) ?? this.#byName.get(`*${parent < 0 ? "" : name.slice(parent)}`) ?? this.context;
  }
}

function checkProperties(name: string, options: unknown): asserts options is TlsOptions {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalidType(name, "an object { key, cert, … }, or an array of such objects", options);
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null);
  const unknown = given.filter(([key]) => !(NAMES as readonly string[]).includes(key)).map(([key]) => key);
  if (unknown.length > 0) {
    const list = unknown.map((key) => {
      const similar = suggest(key, NAMES);
      const hint = UNSUPPORTED[key] ?? (similar === undefined ? undefined : `did you mean ${JSON.stringify(similar)}?`);
      return JSON.stringify(key) + (hint === undefined ? "" : ` (${hint})`);
    });
    throw unknownOptions(`unknown option${list.length > 1 ? "s" : ""} of ${name}: ${list.join(", ")}`);
  }
  for (const [key, value] of given) {
    const kind = kinds[key as keyof TlsOptions];
    if (kind === undefined || typeof value === kind) continue;
    throw invalidType(`${name}.${key}`, kind === "boolean" ? "true or false" : `a ${kind}`, value);
  }
  for (const key of ["minVersion", "maxVersion"] as const) {
    const version = (options as TlsOptions)[key];
    if (version !== undefined && !VERSIONS.includes(version)) {
      throw invalidType(`${name}.${key}`, VERSIONS.map((one) => JSON.stringify(one)).join(" or "), version);
    }
  }
}

const kinds: { [Name in keyof TlsOptions]?: "string" | "number" | "boolean" } = {
  passphrase: "string",
  serverName: "string",
  servername: "string",
  requestCert: "boolean",
  rejectUnauthorized: "boolean",
  ciphers: "string",
  secureOptions: "number",
};

function createContext(name: string, options: TlsOptions, { cert, key, ca, crl }: Certificates): SecureContext {
  const { passphrase, ciphers, secureOptions, minVersion = "TLSv1.2", maxVersion } = options;
  const all = { cert, key, ca, crl, passphrase, ciphers, secureOptions, minVersion, maxVersion };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  try {
    return createSecureContext(given as SecureContextOptions);
  } catch (error) {
    throw invalidValue(`${name} is not accepted by Bun's TLS library: ${(error as Error).message}`);
  }
}

/** Each name with its length before it: RFC 7301, 3.1. */
function wireFormat(name: string, value: TlsOptions["ALPNProtocols"], isHttp: boolean): Buffer | undefined {
  const names = value === undefined || value === null ? (isHttp ? ["http/1.1"] : []) : protocolNames(name, value);
  const foreign = isHttp ? names.find((one) => !HTTP_PROTOCOLS.has(one)) : undefined;
  if (foreign !== undefined) {
    throw invalidValue(`${name} contains ${JSON.stringify(foreign)}: the server speaks HTTP/1.1; use "http/1.1"`);
  }
  if (names.length === 0) return undefined;
  return Buffer.concat(names.map((one) => Buffer.concat([Buffer.of(one.length), Buffer.from(one, "latin1")])));
}

function protocolNames(name: string, value: Exclude<TlsOptions["ALPNProtocols"], undefined>): string[] {
  const expected = "a protocol name, an array of names, or their wire format";
  let names: unknown[];
  if (typeof value === "string") names = value.split(",").map((one) => one.trim());
  else if (Array.isArray(value)) names = value as unknown[];
  else names = parseWireFormat(name, value as ArrayBufferView | ArrayBufferLike, expected);
  for (const one of names) {
    // oxlint-disable-next-line no-control-regex -- any byte is allowed
    if (typeof one !== "string" || !/^[\x00-\xff]{1,255}$/.test(one)) throw invalidType(name, expected, value);
  }
  return names as string[];
}

function parseWireFormat(name: string, value: ArrayBufferView | ArrayBufferLike, expected: string): string[] {
  if (!ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer)) throw invalidType(name, expected, value);
  const bytes = ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(value);
  const names: string[] = [];
  for (let at = 0; at < bytes.length; at += 1 + (bytes[at] as number)) {
    names.push(bytes.toString("latin1", at + 1, at + 1 + (bytes[at] as number)));
  }
  return names;
}
