/** A history that is continued live. */

import type { Bucket, MetricsSnapshot } from "@nodeglass/client";
import { expect, test } from "vitest";
import { Timeline } from "./timeline.ts";

const CPU = "cpu.usage_percent";
const CORES = "cpu.core_usage@*";

function history(interval: number, rows: Record<string, number>[]) {
  const data = rows as Bucket[];
  return { data, resolution: "raw" as const, query: { metrics: [], start_timestamp: 0, end_timestamp: 0, interval_seconds: interval } };
}

function sample(seconds: number, usage: number, cores: number[] = []): MetricsSnapshot {
  return {
    timestamp: seconds * 1000,
    cpu: { usage_percent: usage, cores: cores.map((value, core) => ({ core, usage_percent: value })) },
    memory: {},
    disks: [],
    network_interfaces: [],
  };
}

test("a history is put into columns, absent values are null", () => {
  const timeline = new Timeline([CPU, "memory.used_bytes"]);
  timeline.load(history(5, [{ timestamp: 100, [CPU]: 1 }, { timestamp: 105, [CPU]: 2, "memory.used_bytes": 7 }]));
  expect(timeline.times).toEqual([100, 105]);
  expect(timeline.columns.get(CPU)).toEqual([1, 2]);
  expect(timeline.columns.get("memory.used_bytes")).toEqual([null, 7]);
});

test("buckets far apart have a gap between them", () => {
  const timeline = new Timeline([CPU]);
  const rows = [0, 5, 10, 60, 65].map((timestamp) => ({ timestamp, [CPU]: 1 }));
  timeline.load(history(5, rows));
  expect(timeline.times).toEqual([0, 5, 10, 15, 60, 65]);
  expect(timeline.columns.get(CPU)).toEqual([1, 1, 1, null, 1, 1]);
});

test("samples each five seconds in buckets of one are no gaps", () => {
  const timeline = new Timeline([CPU]);
  timeline.load(history(1, [0, 5, 10, 15].map((timestamp) => ({ timestamp, [CPU]: 1 }))));
  expect(timeline.times).toHaveLength(4);
});

test("samples go on where the history ended", () => {
  const timeline = new Timeline([CPU, CORES]);
  timeline.load(history(1, [{ timestamp: 100, [CPU]: 10, "cpu.core_usage@0": 10 }]));
  timeline.append(sample(101, 20, [15, 25]));
  timeline.append(sample(99, 99));
  expect(timeline.times).toEqual([100, 101]);
  expect(timeline.columns.get(CPU)).toEqual([10, 20]);
  expect(timeline.columns.get("cpu.core_usage@1")).toEqual([null, 25]);
});

test("samples of one bucket make its mean", () => {
  const timeline = new Timeline([CPU]);
  timeline.load(history(10, [{ timestamp: 90, [CPU]: 50 }]));
  for (const [second, usage] of [[100, 10], [101, 20], [102, 30]] as const) timeline.append(sample(second, usage));
  expect(timeline.times).toEqual([90, 100]);
  expect(timeline.columns.get(CPU)?.[1]).toBeCloseTo(20);
});

test("who listens is told, and the keys stay the same while they are", () => {
  const timeline = new Timeline([CPU]);
  let told = 0;
  const forget = timeline.subscribe(() => (told += 1));
  timeline.append(sample(1, 1));
  const keys = timeline.keys();
  timeline.append(sample(2, 1));
  expect(timeline.keys()).toBe(keys);
  forget();
  timeline.append(sample(3, 1));
  expect(told).toBe(2);
});

test("a window left open does not grow without end", () => {
  const timeline = new Timeline([CPU]);
  for (let second = 0; second < 5_000; second++) timeline.append(sample(second, 1));
  expect(timeline.times.length).toBeLessThanOrEqual(4_400);
  expect(timeline.columns.get(CPU)).toHaveLength(timeline.times.length);
  expect(timeline.times.at(-1)).toBe(4_999);
});

test("of what goes on live as much is kept as was asked for, and no series that is gone", () => {
  const timeline = new Timeline([CPU, CORES]);
  const asked = history(1, [{ timestamp: 999, [CPU]: 1 }]);
  timeline.load({ ...asked, query: { ...asked.query, start_timestamp: 700, end_timestamp: 1_000 } });
  timeline.append(sample(1_000, 1, [5]));
  for (let second = 1_001; second < 5_000; second++) {
    timeline.append(sample(second, 1));
    // All of the last five minutes, as far as there was any.
    expect(timeline.times[0]).toBeLessThanOrEqual(Math.max(999, second - 299));
  }
  expect(timeline.times.length).toBeLessThanOrEqual(330);
  expect(timeline.columns.get(CPU)).toHaveLength(timeline.times.length);
  expect(timeline.keys()).toEqual([CPU]);
});
