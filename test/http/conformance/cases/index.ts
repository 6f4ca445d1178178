// All subjects of the conformance suite.

import type { Subject } from "../case.ts";
import { bodiless } from "./bodiless.ts";
import { chunks } from "./chunks.ts";
import { connection } from "./connection.ts";
import { contentLength } from "./content-length.ts";
import { expectation } from "./expect.ts";
import { fields } from "./fields.ts";
import { garbage } from "./garbage.ts";
import { handling } from "./handlers.ts";
import { halfClose } from "./half-close.ts";
import { host } from "./host.ts";
import { limits } from "./limits.ts";
import { lineEnds } from "./line-ends.ts";
import { methods } from "./methods.ts";
import { pipelining } from "./pipelining.ts";
import { requestLine } from "./request-line.ts";
import { smuggling } from "./smuggling.ts";
import { targets } from "./targets.ts";
import { transferEncoding } from "./transfer-encoding.ts";
import { versions } from "./versions.ts";

export const subjects: readonly Subject[] = [
  { subject: "request line", cases: requestLine },
  { subject: "versions", cases: versions },
  { subject: "targets", cases: targets },
  { subject: "Host", cases: host },
  { subject: "fields", cases: fields },
  { subject: "Content-Length", cases: contentLength },
  { subject: "Transfer-Encoding", cases: transferEncoding },
  { subject: "chunks", cases: chunks },
  { subject: "Expect", cases: expectation },
  { subject: "methods", cases: methods },
  { subject: "Connection", cases: connection },
  { subject: "pipelining", cases: pipelining },
  { subject: "handlers", cases: handling },
  { subject: "no body", cases: bodiless },
  { subject: "limits", cases: limits },
  { subject: "half-close", cases: halfClose },
  { subject: "line ends", cases: lineEnds },
  { subject: "smuggling", cases: smuggling },
  { subject: "garbage", cases: garbage },
];
