// A RocksDB database: batches of writes, reads at once, an iterator, and opening it a second time.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import RocksDB from "rocksdb-native";
import { scenario } from "./scenario.mjs";

const ENTRIES = 10_000;
const key = (number) => `key ${String(number).padStart(6, "0")}`;

scenario("rocksdb-native", async ({ equal }) => {
  const folder = mkdtempSync(join(tmpdir(), "rocksdb-"));
  const first = new RocksDB(folder);
  await first.ready();
  for (let start = 0; start < ENTRIES; start += 1000) {
    const batch = first.write();
    const puts = Array.from({ length: 1000 }, (_, index) => batch.put(key(start + index), `value ${start + index}`));
    await batch.flush();
    await Promise.all(puts);
    batch.destroy();
  }
  await first.close();

  const second = new RocksDB(folder);
  await second.ready();
  const values = await Promise.all(Array.from({ length: 1000 }, (_, index) => second.get(key(index * 10))));
  equal("values read at once", values.filter((value, index) => String(value) === `value ${index * 10}`).length, 1000);
  let count = 0;
  for await (const entry of second.iterator({ gte: key(1000), lt: key(2000) })) {
    if (String(entry.key) === key(1000 + count)) count++;
  }
  equal("entries of the iterator", count, 1000);
  await second.close();
  rmSync(folder, { recursive: true });
});
