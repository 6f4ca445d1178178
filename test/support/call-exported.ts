// A program that calls functions that Bun exports for addons: bun call-exported.ts NAME... . Some of them end the process.

import { cc, ptr } from "bun:ffi";
import { mkdtempSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Bun provides dlsym to every unit that it compiles.
const SOURCE = `
  void *dlsym(void *, const char *);
  int call(const char *name, void *buffer) {
    long (*f)(void *, void *, long, long) = dlsym(0, name);
    if (!f) return -1;
    f(buffer, buffer, 0, 0);
    return 0;
  }`;

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
const file = join(folder, "call.c");
writeFileSync(file, SOURCE);
const { symbols } = cc({
  source: file,
  flags: ["-nostdlib", "-nostdinc"],
  symbols: { call: { args: ["ptr", "ptr"], returns: "int" } },
});
rmSync(folder, { recursive: true });
const buffer = new Uint8Array(new ArrayBuffer(4096));
for (const name of process.argv.slice(2)) {
  const result = symbols.call(ptr(Buffer.from(`${name}\0`)), ptr(buffer));
  writeSync(1, `${name} ${result === 0 ? "returned" : "is not exported"}\n`);
}
