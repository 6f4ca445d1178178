// Checks of epoll-hello/libuv that run on any platform. Prints one JSON line per check: { check, result, detail }.
//
// Used by native-addons.sh: bun --preload epoll-hello/libuv native-addons.cjs FIXTURE ARGUMENTS [ADDON…]
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const [fixturePath, argumentsPath, ...addonPaths] = process.argv.slice(2);
const mode = process.env.NATIVE_ADDONS_MODE;
const fixture = mode === "error" ? undefined : require(path.resolve(fixturePath));
const POLLIN = 1;
const POLLOUT = 2;

if (mode === "exit") {
  // A timer keeps the process alive until it is closed; one that is unref'd does not.
  const timer = fixture.timer(
    () => {
      console.log("timer");
      fixture.close(timer);
    },
    20,
    0,
  );
  fixture.unref(fixture.timer(() => console.log("too late"), 600_000, 0));
  process.on("exit", () => console.log("exit"));
} else if (mode === "exception") {
  process.on("uncaughtException", (error) => console.log(`uncaught ${error.message}`));
  const timer = fixture.timer(
    () => {
      fixture.close(timer);
      throw new Error("from a callback");
    },
    1,
    0,
  );
} else if (mode === "error") {
  try {
    require(path.resolve(fixturePath));
  } catch (error) {
    console.log(error.message);
  }
} else if (mode === "worker") {
  const worker = new Worker(__filename, {
    argv: [fixturePath],
    env: { ...process.env, NATIVE_ADDONS_MODE: "in-worker" },
  });
  worker.addEventListener("error", (event) => console.log(event.message));
} else if (mode === "in-worker") {
  const timer = fixture.timer(
    () => {
      console.log(`worker loop ${fixture.loops() !== 0 ? "agrees" : "differs"}`);
      fixture.close(timer);
    },
    1,
    0,
  );
} else {
  main();
}

function report(check, result, detail = "") {
  console.log(JSON.stringify({ check, result, detail: String(detail) }));
}

async function check(name, run) {
  let late;
  const deadline = new Promise((_, reject) => {
    late = setTimeout(() => reject(new Error("no result within 60 s")), 60_000);
  });
  try {
    report(name, "ok", (await Promise.race([run(), deadline])) ?? "");
  } catch (error) {
    // An addon may need a newer libuv than an old one that is tested: then the error names the functions.
    const isRefused = / needs uv_.*, which libuv .* does not have\. /.test(error.message);
    report(name, isRefused ? "refused" : "FAILED", error.message.split("\n")[0]);
  }
  clearTimeout(late);
}

function assert(condition, message) {
  if (!condition) throw new Error(message);
}

function child(childMode, env = {}) {
  // Under an emulator, the executable cannot be started on its own.
  const [program, ...before] = (process.env.NATIVE_ADDONS_BUN ?? process.execPath).split(" ");
  return execFileSync(program, [...before, "--preload", "epoll-hello/libuv", __filename, path.resolve(fixturePath)], {
    encoding: "utf8",
    env: { ...process.env, NATIVE_ADDONS_MODE: childMode, ...env },
    timeout: 60_000,
  });
}

async function main() {
  await check("libuv", () => fixture.version());
  await check("thread's loop", () => {
    assert(fixture.loops() !== 0, "uv_default_loop and napi_get_uv_event_loop differ");
  });
  await check("arguments of type double", () => {
    const file = path.join(fs.mkdtempSync(path.join(require("node:os").tmpdir(), "native-addons-")), "file");
    fs.writeFileSync(file, "");
    const error = fixture.utime(file, 1_000_000, 2_000_000);
    const { atimeMs, mtimeMs } = fs.statSync(file);
    fs.rmSync(path.dirname(file), { recursive: true });
    assert(error === 0 && atimeMs === 1e9 && mtimeMs === 2e9, `uv_fs_utime: ${error}, ${atimeMs}, ${mtimeMs}`);
  });
  await check("seven arguments", () => {
    const copied = require(path.resolve(argumentsPath));
    assert(copied === 5, `uv_fs_sendfile: ${copied}`);
  });
  await check("stubs of Bun", () => {
    const { bunSymbols } = require("../../src/libuv/bun-symbols.ts");
    const names = bunSymbols().names.filter((symbol) => symbol.startsWith("uv_"));
    const stubs = bunSymbols().stubsAmong(names);
    assert(stubs.includes("uv_poll_init") && !stubs.includes("uv_hrtime"), `${stubs.length} of ${names.length}`);
    return `${stubs.length} of ${names.length} functions`;
  });
  await check("timers", async () => {
    let fired = 0;
    await new Promise((resolve) => {
      const timer = fixture.timer(
        () => {
          if (++fired < 5) return;
          fixture.close(timer);
          resolve();
        },
        1,
        1,
      );
    });
    return `${fired} times`;
  });
  await check("idle", async () => {
    let fired = 0;
    await new Promise((resolve) => {
      const idle = fixture.idle(() => {
        if (++fired === 100) {
          fixture.close(idle);
          resolve();
        }
      });
    });
  });
  await check("poll", async () => {
    const dir = fs.mkdtempSync(path.join(require("node:os").tmpdir(), "native-addons-"));
    const fifo = path.join(dir, "fifo");
    execFileSync("mkfifo", [fifo]);
    const fd = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    const events = [];
    await new Promise((resolve) => {
      const item = fixture.poll(
        (value) => {
          events.push(value);
          if (value & POLLIN) {
            fixture.close(item);
            resolve();
          } else {
            fixture.pollEvents(item, POLLIN);
            setTimeout(() => fs.writeSync(fd, "x"), 1);
          }
        },
        fd,
        POLLOUT,
      );
      assert(item > 0 || item < -4096, `uv_poll_init: ${item}`);
    });
    fs.closeSync(fd);
    fs.rmSync(dir, { recursive: true });
    assert(events[0] === POLLOUT && events.at(-1) === POLLIN, `events ${events}`);
  });
  await check("async from a thread", async () => {
    for (let round = 0; round < 20; round++) {
      await new Promise((resolve) => {
        const item = fixture.async(() => {
          fixture.close(item);
          resolve();
        });
        fixture.sendFromThread(item, 1);
      });
    }
    return "20 rounds";
  });
  await check("thread pool", async () => {
    const statuses = await Promise.all(
      Array.from({ length: 50 }, () => new Promise((resolve) => fixture.queueWork(resolve))),
    );
    assert(
      statuses.every((status) => status === 0),
      `statuses ${statuses}`,
    );
  });
  await check("exception in a callback", () => {
    const output = child("exception");
    assert(output === "uncaught from a callback\n", JSON.stringify(output));
  });
  await check("end of the process", () => {
    const output = child("exit");
    assert(output === "timer\nexit\n", JSON.stringify(output));
  });
  await check("Worker", () => {
    const output = child("worker");
    assert(output === "worker loop agrees\n", JSON.stringify(output));
  });
  await check("libuv missing", () => {
    const output = child("error", { EPOLL_HELLO_LIBUV: "/nowhere/libuv.so.1" });
    assert(output.includes("cannot open libuv") && output.includes("/nowhere/libuv.so.1"), output);
  });
  await check("another library than libuv", () => {
    const output = child("error", { EPOLL_HELLO_LIBUV: path.resolve(argumentsPath) });
    assert(output.includes("is not libuv, or too old"), output);
  });
  for (const addon of addonPaths) await check(name(addon), () => useAddon(path.resolve(addon)));
  const { loadedAddons } = require("epoll-hello/libuv");
  const counts = loadedAddons().map(({ path: file, functions }) => `${name(file)} ${functions.length}`);
  report("functions used", "ok", counts.join(", "));
}

function name(file) {
  return /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? path.basename(file);
}

/** Loads an addon from npm, and moves data through it where its own JavaScript can be used. */
async function useAddon(file) {
  const packageDir = file.slice(0, file.indexOf("/node_modules/") + "/node_modules/".length) + name(file);
  const exported = require(file);
  if (name(file) === "zeromq") return zeromq(packageDir, file);
  if (name(file) === "udx-native") return udx(packageDir);
  if (name(file) === "fs-native-extensions") return fileLocks(packageDir);
  return `loaded: ${Object.keys(exported).length} exports`;
}

async function zeromq(packageDir, file) {
  // Its loader asks this machine for the C library, which is another one than Bun's here.
  const load = process.dlopen;
  process.dlopen = (module, asked, ...rest) => load(module, asked.endsWith("/addon.node") ? file : asked, ...rest);
  const { Push, Pull } = require(packageDir);
  const [push, pull] = [new Push(), new Pull()];
  await push.bind("tcp://127.0.0.1:*");
  pull.connect(push.lastEndpoint);
  for (let i = 0; i < 100; i++) await push.send(`message ${i}`);
  for (let i = 0; i < 100; i++) {
    const [message] = await pull.receive();
    assert(message.toString() === `message ${i}`, `received ${message}`);
  }
  push.close();
  pull.close();
  return "100 messages";
}

async function udx(packageDir) {
  const UDX = require(packageDir);
  const udxs = new UDX();
  const [a, b] = [udxs.createSocket(), udxs.createSocket()];
  a.bind(0, "127.0.0.1");
  b.bind(0, "127.0.0.1");
  const [x, y] = [udxs.createStream(1), udxs.createStream(2)];
  x.connect(a, 2, b.address().port, "127.0.0.1");
  y.connect(b, 1, a.address().port, "127.0.0.1");
  const sent = Buffer.alloc(100_000, "0123456789");
  const received = [];
  const ended = new Promise((resolve, reject) => {
    y.on("data", (data) => received.push(data))
      .on("end", resolve)
      .on("error", reject);
  });
  x.end(sent);
  await ended;
  y.end();
  assert(Buffer.concat(received).equals(sent), "data differs");
  await Promise.all(
    [x, y].map((stream) => new Promise((resolve) => (stream.destroyed ? resolve() : stream.once("close", resolve)))),
  );
  await Promise.all([a.close(), b.close()]);
  return "100000 bytes";
}

async function fileLocks(packageDir) {
  const { tryLock, waitForLock, unlock } = require(packageDir);
  const dir = fs.mkdtempSync(path.join(require("node:os").tmpdir(), "native-addons-"));
  const file = path.join(dir, "file");
  fs.writeFileSync(file, "");
  const [a, b] = [fs.openSync(file, "r+"), fs.openSync(file, "r+")];
  assert(tryLock(a), "first lock");
  assert(!tryLock(b), "second lock of a locked file");
  const waiting = waitForLock(b);
  unlock(a);
  await waiting;
  unlock(b);
  fs.closeSync(a);
  fs.closeSync(b);
  fs.rmSync(dir, { recursive: true });
  return "waited for a lock";
}
