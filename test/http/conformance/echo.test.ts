// HTTP/1.1 conformance of the server with a fetch handler that reads the body and tells what it got.

import { setDefaultTimeout } from "bun:test";
import { conforms } from "./suite.ts";

setDefaultTimeout(60_000);

conforms("echo");
