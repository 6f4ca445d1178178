// Serial ports on pseudoterminals: data in both directions at once, settings, drain, flush, close, and a device that is unplugged.

import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { SerialPort } from "serialport";
import { event, openDescriptors, scenario, until } from "./scenario.mjs";

const PORTS = 5;
const BYTES = 1 << 20;

const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const settled = (start) =>
  new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));

/** Starts the pseudoterminals. `ask` sends a command and resolves with its answer; answers of transfers come by index. */
async function pseudoterminals() {
  const python = spawn("python3", [new URL("ptys.py", import.meta.url).pathname, String(PORTS)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const waiting = [];
  const lines = createInterface({ input: python.stdout });
  lines.on("line", (line) => {
    const answer = JSON.parse(line);
    const index = waiting.findIndex((entry) => entry.index === undefined || entry.index === answer.index);
    waiting.splice(index, 1)[0].resolve(answer);
  });
  const receive = (index) => new Promise((resolve) => waiting.push({ index, resolve }));
  return {
    paths: await receive(),
    ask(command, index, size = "") {
      python.stdin.write(`${command} ${index} ${size}\n`);
      return receive(command === "settings" ? undefined : index);
    },
    async end() {
      const exited = event(python, "exit");
      python.stdin.end();
      await exited;
    },
  };
}

scenario("serialport", async ({ equal, that }) => {
  const { paths, ask, end } = await pseudoterminals();
  const before = openDescriptors();
  const ports = paths.map((path) => new SerialPort({ path, baudRate: 115200, autoOpen: false }));
  await Promise.all(ports.map((port) => settled((done) => port.open(done))));
  equal("ports open", ports.filter((port) => port.isOpen).length, PORTS);

  // All ports at once, each in both directions at once.
  const transfers = ports.map(async (port, index) => {
    const received = [];
    let length = 0;
    const all = new Promise((resolve) =>
      port.on("data", (data) => {
        received.push(data);
        length += data.length;
        if (length >= BYTES) resolve();
      }),
    );
    const outgoing = randomBytes(BYTES);
    const answer = ask("exchange", index, BYTES);
    for (let offset = 0; offset < BYTES; offset += 65_536) port.write(outgoing.subarray(offset, offset + 65_536));
    const [device] = await Promise.all([answer, all]);
    return device.received === sha256(outgoing) && device.sent === sha256(Buffer.concat(received));
  });
  equal("transfers intact", (await Promise.all(transfers)).filter(Boolean).length, PORTS);
  await Promise.all(ports.map((port) => settled((done) => port.drain(done))));
  for (const port of ports) port.removeAllListeners("data").pause();

  const port = ports[0];
  await settled((done) => port.update({ baudRate: 57600 }, done));
  equal("baud rate", (await port.port.getBaudRate()).baudRate, 57600);
  equal("device at 57600 baud", (await ask("settings", 0)).isBaud57600, true);
  // A pseudoterminal has no modem lines: the call must fail, and report it.
  const modem = await settled((done) => port.get(done)).then(
    () => "none",
    (error) => /Inappropriate ioctl/.test(error.message),
  );
  equal("modem lines of a pseudoterminal are an error", modem, true);

  await settled((done) => port.close(done));
  const controlled = new SerialPort({
    path: paths[0],
    baudRate: 9600,
    stopBits: 2,
    rtscts: true,
    xon: true,
    xoff: true,
    autoOpen: false,
  });
  await settled((done) => controlled.open(done));
  const { isBaud57600: _baud, dataBits: _bits, ...settings } = await ask("settings", 0);
  equal("settings", settings, { rtscts: true, xon: true, xoff: true, stopBits: 2 });
  await settled((done) => controlled.close(done));

  // Flush discards the data that is not read yet.
  const flushed = new SerialPort({ path: paths[0], baudRate: 115200, autoOpen: false });
  await settled((done) => flushed.open(done));
  await ask("send", 0, 1000);
  await settled((done) => flushed.flush(done));
  let isFirst = true;
  const next = new Promise((resolve) =>
    flushed.on("data", (data) => {
      if (isFirst) resolve(data.every((byte) => byte === 0));
      isFirst = false;
    }),
  );
  await ask("send", 0, 1);
  equal("data after flush", await next, true);
  const closed = event(flushed, "close");
  await settled((done) => flushed.close(done));
  equal("close without an error", (await closed)[0] ?? null, null);

  // The device goes away while the port reads.
  const unplugged = ports[1];
  unplugged.resume();
  const gone = event(unplugged, "close");
  await ask("unplug", 1);
  equal("unplugged", (await gone)[0]?.disconnected, true);

  for (const open of ports.slice(2)) await settled((done) => open.close(done));
  await until(() => openDescriptors() <= before);
  that("descriptors are closed", openDescriptors() <= before, openDescriptors() - before);
  await end();
});
