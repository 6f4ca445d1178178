// HTTP/1.1 conformance of the loop that makes one system call for each readiness, with connections that stay open.

import { setDefaultTimeout } from "bun:test";
import { conforms } from "./suite.ts";

setDefaultTimeout(60_000);

conforms("static", { eager: false });
