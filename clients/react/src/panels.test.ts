/** Of more series than a chart can show, the largest are drawn, and the others counted. */

import { expect, test } from "vitest";
import { MOST_SERIES, largest, panel } from "./panels.ts";
import { Timeline } from "./timeline.ts";

const TEMPERATURE = "sensor.temperature_celsius";

test("the largest are taken, in the order of their names, and the rest is counted", () => {
  const keys = Array.from({ length: 37 }, (_, at) => `${TEMPERATURE}@core ${at}`);
  const { series, leftOut } = panel("temperature").series(keys, (key) => Number(key.split(" ")[1]));
  expect(series.map((one) => one.label)).toEqual(Array.from({ length: MOST_SERIES }, (_, at) => `core ${at + 27}`));
  expect(leftOut).toBe(27);
});

test("devices with two lines are taken by both, and counted once", () => {
  const devices = Array.from({ length: 8 }, (_, at) => `eth${at}`);
  const keys = devices.flatMap((device) => ["recv", "sent"].map((way) => `network.bytes_${way}_per_sec@${device}`));
  const sizes: Record<string, number> = { "network.bytes_recv_per_sec@eth6": 5, "network.bytes_sent_per_sec@eth7": 9 };
  const { series, leftOut } = panel("network").series(keys, (key) => sizes[key] ?? 0);
  expect(series).toHaveLength(MOST_SERIES);
  expect(series.map((one) => one.label)).toEqual(expect.arrayContaining(["eth6 in", "eth7 out"]));
  expect(leftOut).toBe(3);
});

test("where all have room none is left out, and names count as people count", () => {
  expect(largest(["b10", "b9"], 2, () => 0)).toEqual(["b9", "b10"]);
  expect(panel("cpu").series(["cpu.user_percent"]).leftOut).toBe(0);
});

test("how large a series is: its mean, without what is not known", () => {
  const timeline = new Timeline([TEMPERATURE]);
  const query = { metrics: [], start_timestamp: 0, end_timestamp: 0, interval_seconds: 5 };
  timeline.load({ data: [{ timestamp: 0, a: 2 }, { timestamp: 5 }, { timestamp: 10, a: 4 }], query, resolution: "raw" });
  expect(timeline.mean("a")).toBe(3);
  expect(timeline.mean("b")).toBe(0);
});
