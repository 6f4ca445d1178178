// An SQLite database in the thread pool: inserts, rows one by one, and events of the database.

import sqlite3 from "sqlite3";
import { scenario, until } from "./scenario.mjs";

const ROWS = 1000;

const settled = (start) =>
  new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));

scenario("sqlite3", async ({ equal }) => {
  const database = await new Promise((resolve, reject) => {
    const opened = new sqlite3.Database(":memory:", (error) => (error ? reject(error) : resolve(opened)));
  });
  let profiled = 0;
  database.on("profile", () => profiled++);
  await settled((done) => database.run("CREATE TABLE numbers (number INTEGER)", done));
  const statement = database.prepare("INSERT INTO numbers VALUES (?)");
  await Promise.all(Array.from({ length: ROWS }, (_, number) => settled((done) => statement.run(number, done))));
  await settled((done) => statement.finalize(() => done()));
  let sum = 0;
  const count = await settled((done) =>
    database.each("SELECT number FROM numbers", (_, row) => (sum += row.number), done),
  );
  equal("rows", [count, sum], [ROWS, (ROWS * (ROWS - 1)) / 2]);
  // The events come through a uv_async_t of their own.
  await until(() => profiled >= ROWS + 2);
  equal("profile events", profiled, ROWS + 2);
  await settled((done) => database.close(done));
});
