// The tls option, and what the server reports about a TLS connection, apart from what they do: the published types need no more.

/** A file whose content is read when the server is created, such as a BunFile: `Bun.file("key.pem")`. */
export interface FileLike {
  readonly name?: string | undefined;
  readonly size: number;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** Text in the PEM format, its bytes, or a file with it. */
export type Pem = string | ArrayBufferView | ArrayBufferLike | FileLike;

/** A client's certificate: the X509Certificate of node:crypto, of which these are the usual properties. */
export interface PeerCertificate {
  readonly subject: string;
  readonly subjectAltName: string | undefined;
  readonly issuer: string;
  readonly serialNumber: string;
  readonly fingerprint256: string;
  /** Such as `Nov 28 12:00:00 2026 GMT`. */
  readonly validFrom: string;
  readonly validTo: string;
  /** In the DER format. */
  readonly raw: Uint8Array;
}

/** A certificate with its key, and how clients are verified. The names are those of Bun.serve and node:tls. */
export interface TlsOptions {
  /** The private key; with several certificates, the key of each. */
  key?: Pem | readonly Pem[] | undefined;
  /** The certificate, followed by its intermediate certificates. */
  cert?: Pem | readonly Pem[] | undefined;
  /** The certificates of the authorities that may issue client certificates, with `requestCert`. Default: Mozilla's list. */
  ca?: Pem | readonly Pem[] | undefined;
  /** Certificate revocation lists. A client certificate that is listed in one is not valid. */
  crl?: Pem | readonly Pem[] | undefined;
  /** The path of a file, in place of `key`. */
  keyFile?: string | undefined;
  /** The path of a file, in place of `cert`. */
  certFile?: string | undefined;
  /** The path of a file, in place of `ca`. */
  caFile?: string | undefined;
  /** Decrypts the key. */
  passphrase?: string | undefined;
  /**
   * The host name that the certificate is for, if there are several: `"example.com"`, or `"*.example.com"` for the names one level below.
   * Default: the names in the certificate.
   */
  serverName?: string | undefined;
  /** Another spelling of `serverName`, from node:tls. */
  servername?: string | undefined;
  /**
   * The protocols that are offered by ALPN, in order of preference: one name, several, or their wire format. Default: `"http/1.1"`; none
   * with `socket`.
   */
  ALPNProtocols?: string | readonly string[] | ArrayBufferView | ArrayBufferLike | undefined;
  /** Request a certificate from each client. Default: false. */
  requestCert?: boolean | undefined;
  /** With `requestCert`: end the connection if the client's certificate is missing or not valid. Default: true. */
  rejectUnauthorized?: boolean | undefined;
  /** The cipher suites of TLS 1.2, in OpenSSL's format. */
  ciphers?: string | undefined;
  /** OpenSSL's `SSL_OP_` flags. */
  secureOptions?: number | undefined;
  /** The lowest version of TLS. Default: `"TLSv1.2"`. */
  minVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
  /** The highest version of TLS. Default: `"TLSv1.3"`. */
  maxVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
}

/** What a TLS handshake has agreed on. */
export interface TlsInfo {
  /** The version: `"TLSv1.3"`. */
  readonly protocol: string;
  /** The cipher suite: `"TLS_AES_128_GCM_SHA256"`. */
  readonly cipher: string;
  /** The host name that the client asked for (SNI); undefined if it asked for none. */
  readonly serverName: string | undefined;
  /** The protocol that was chosen by ALPN; undefined if the client offered none. */
  readonly alpnProtocol: string | undefined;
  /** Whether the client has a certificate that is valid. */
  readonly isAuthorized: boolean;
  /** Why the client's certificate is not valid: `"DEPTH_ZERO_SELF_SIGNED_CERT"`; undefined if it is, or without `requestCert`. */
  readonly authorizationError: string | undefined;
  /** The client's certificate; undefined if it has sent none. Check `isAuthorized` before you rely on it. */
  readonly peerCertificate: PeerCertificate | undefined;
}
