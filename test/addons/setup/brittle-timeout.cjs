// A longer timeout for each test of brittle: its byte-by-byte comparison of 4 MiB takes half a minute on a busy machine.

require("brittle").configure({ timeout: 100_000 });
