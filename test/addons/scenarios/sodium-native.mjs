// Password hashes in libuv's thread pool, several at once, while timers go on.

import sodium from "sodium-native";
import { scenario } from "./scenario.mjs";

const HASHES = 8;

scenario("sodium-native", async ({ equal, that }) => {
  const salt = Buffer.alloc(sodium.crypto_pwhash_SALTBYTES, 7);
  const [operations, memory] = [sodium.crypto_pwhash_OPSLIMIT_MIN, 1 << 23];
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const hashes = await Promise.all(
    Array.from({ length: HASHES }, async (_, index) => {
      const hash = Buffer.alloc(32);
      await sodium.crypto_pwhash_async(
        hash,
        Buffer.from(`password ${index}`),
        salt,
        operations,
        memory,
        sodium.crypto_pwhash_ALG_DEFAULT,
      );
      return hash;
    }),
  );
  clearInterval(timer);
  that("timers ran meanwhile", ticks > 0);
  const same = hashes.filter((hash, index) => {
    const expected = Buffer.alloc(32);
    const password = Buffer.from(`password ${index}`);
    sodium.crypto_pwhash(expected, password, salt, operations, memory, sodium.crypto_pwhash_ALG_DEFAULT);
    return hash.equals(expected);
  });
  equal("hashes that equal the synchronous ones", same.length, HASHES);
});
