// The trace of a server after start(): the thread waits in Bun's event loop, and handlers continue between iterations.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type EpollServerOptions, type TraceEvent } from "../../src/index.ts";
import { untilWaiting } from "../support/bridge-state.ts";
import { eventuallyLeavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const SLEEP_MS = 80; // longer than slowMs

async function traced(options: EpollServerOptions, use: (server: EpollServer) => Promise<void>): Promise<TraceEvent[]> {
  const events: TraceEvent[] = [];
  await using server = new EpollServer({ hostname: "127.0.0.1", ...options, trace: (event) => events.push(event) });
  await server.start();
  await use(server);
  await server.stop();
  return events;
}

const of = <Type extends TraceEvent["type"]>(events: TraceEvent[], type: Type) =>
  events.filter((event): event is Extract<TraceEvent, { type: Type }> => event.type === type);

test("attributes the time that a handler waits for a timer to Bun's event loop, not to an fd", () =>
  eventuallyLeavesNoFd(async () => {
    const handler = async (): Promise<Response> => {
      await Bun.sleep(SLEEP_MS);
      return new Response("late");
    };
    const events = await traced({ fetch: handler }, async ({ url }) => {
      const texts = await Promise.all(Array.from({ length: 4 }, async () => (await fetch(url)).text()));
      expect(texts).toEqual(Array.from({ length: 4 }, () => "late"));
    });
    const away = of(events, "wait").reduce((sum, { awayUs }) => sum + (awayUs ?? 0), 0);
    expect(away).toBeGreaterThan(0); // nearly all of the time on an idle machine
    const worked = of(events, "iteration").reduce((sum, { workedUs }) => sum + workedUs, 0);
    expect(worked + away).toBeLessThanOrEqual((events.at(-1)?.us ?? 0) + 1000); // no time is counted twice
    const dispatchTimes = of(events, "iteration").flatMap((iteration) => iteration.dispatches.map(([, us]) => us));
    expect(dispatchTimes.reduce((sum, us) => sum + us, 0)).toBeLessThanOrEqual(worked + 1000);
    expect(of(events, "send")).toHaveLength(4);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  }));

test("ends each iteration once, before the thread returns to Bun's event loop", async () => {
  const events = await traced({ response: "hello" }, async ({ url }) => {
    for (let i = 0; i < 5; i++) expect((await fetch(url)).status).toBe(200);
  });
  const order = events.flatMap(({ type }) => (type === "wait" || type === "iteration" ? [type] : []));
  const expected = order.map((_, i) => (i % 2 === 0 ? "iteration" : "wait")); // the first one precedes the first wait
  expect(order).toEqual(expected);
  const [first, ...others] = of(events, "wait");
  expect(first?.awayUs).toBeUndefined();
  for (const { awayUs } of others) expect(awayUs).toBeGreaterThanOrEqual(0);
});

test("immediately reports the state change after a response that is sent between iterations", async () => {
  let events: TraceEvent[] = [];
  const released = Promise.withResolvers<void>();
  const isIdle = Promise.withResolvers<void>();
  const listener = (event: TraceEvent): void => {
    events.push(event);
    if (event.type === "state" && event.to === "idle") isIdle.resolve();
  };
  const handler = async (): Promise<Response> => {
    await released.promise;
    return new Response("late");
  };
  await using server = new EpollServer({ hostname: "127.0.0.1", fetch: handler, trace: listener });
  await server.start();
  const response = fetch(server.url);
  while (!events.some((event) => event.type === "state" && event.to === "handler")) await Bun.sleep(1);
  await untilWaiting(1); // no other iteration is scheduled
  events = [];
  released.resolve();
  await isIdle.promise;
  expect(events.map(({ type }) => type)).toEqual(["send", "state"]);
  expect(await (await response).text()).toBe("late");
});

test("warns about a handler that blocks the thread", async () => {
  const handler = (): Response => {
    Bun.sleepSync(400); // long enough to be certain on a busy machine
    return new Response("blocked");
  };
  const events = await traced({ fetch: handler }, async ({ url }) => {
    expect(await (await fetch(url)).text()).toBe("blocked");
  });
  expect(of(events, "warning").map(({ code }) => code)).toContain("slow-handler");
});
