// A process that attaches to another one and says so, for tests that kill it.

import { ProcessEngine } from "../../../src/trace/processes/engine.ts";

const engine = new ProcessEngine({
  onCall: ({ detail }) => {
    if (detail.type === "wait") process.stdout.write("wait\n");
  },
});
engine.attach(Number(process.argv[2]));
while (!engine.wait());
