/** What came late, out of what happened to an agent. */

import { expect, test } from "vitest";
import { cameLate } from "./chart/paint.ts";
import { deriveLate } from "./late.ts";

let id = 0;
const event = (kind: string, timestamp: number, detail?: object) => ({ kind, timestamp, id: id++, detail });

test("what lies between two sessions came late, however the first ended", () => {
  const events = [event("connected", 1_000), event("lost", 20_000), event("connected", 30_000), event("disconnected", 50_000), event("connected", 55_000)];
  expect(deriveLate(events)).toEqual([
    { from: 20_000, to: 30_000 },
    { from: 50_000, to: 55_000 },
  ]);
  // The server gives the newest first.
  expect(deriveLate([...events].reverse())).toEqual(deriveLate(events));
});

test("an outage that goes on is none yet, and one of unknown beginning is left out", () => {
  expect(deriveLate([event("connected", 1_000), event("lost", 20_000)])).toEqual([]);
  expect(deriveLate([event("connected", 30_000)])).toEqual([]);
  // Lost twice without a session between: it began with the first.
  expect(deriveLate([event("lost", 10_000), event("lost", 12_000), event("connected", 20_000)])).toEqual([{ from: 10_000, to: 20_000 }]);
});

test("what is of the time when the server was away came late, too", () => {
  const started = (timestamp: number, newest_sample: number | null) => event("server_started", timestamp, { version: "1", newest_sample });
  expect(deriveLate([event("connected", 1_000), started(30_000, 20_000)])).toEqual([{ from: 20_000, to: 30_000 }]);
  // A server's first start.
  expect(deriveLate([started(30_000, null)])).toEqual([]);
  // The agent was away before, and came back once the server was there.
  expect(deriveLate([event("lost", 10_000), started(30_000, 20_000), event("connected", 40_000)])).toEqual([
    { from: 10_000, to: 30_000 },
    { from: 30_000, to: 40_000 },
  ]);
  // It came back with others, which is not noted, and was lost once more.
  expect(deriveLate([event("lost", 10_000), started(30_000, 20_000), event("lost", 50_000), event("connected", 60_000)])).toEqual([
    { from: 10_000, to: 30_000 },
    { from: 50_000, to: 60_000 },
  ]);
});

test("only buckets that lie within are marked, and none where there are no points", () => {
  const timeline = { times: [10, 15, 20, 25, 30, 35], interval: 5 };
  expect(cameLate(timeline, [{ from: 14_000, to: 33_000 }])).toEqual([[15, 30]]);
  expect(cameLate(timeline, [{ from: 21_000, to: 29_000 }])).toEqual([]);
  expect(cameLate(timeline, [{ from: 50_000, to: 99_000 }])).toEqual([]);
});
