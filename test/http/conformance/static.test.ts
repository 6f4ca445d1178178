// HTTP/1.1 conformance of the server with a static reply.

import { setDefaultTimeout } from "bun:test";
import { conforms } from "./suite.ts";

setDefaultTimeout(60_000);

conforms("static");
