/** Which of many hosts a chart shows, and that it says so. */

import { expect, test } from "vitest";
import { MOST_LINES, choose, chooseLargest, saidOf } from "../src/charts/lines.ts";

const CPU = "cpu.usage_percent";
const keys = Array.from({ length: 37 }, (_, at) => `web-${at}:${CPU}`);
const numberOf = (key: string) => Number(/\d+/.exec(key)?.[0]);

test("the largest are drawn, and how many there are is said", () => {
  const lines = chooseLargest(keys, numberOf, false, new Map());
  expect(lines.map((one) => one.label)).toEqual(Array.from({ length: MOST_LINES }, (_, at) => `web-${at + 27}`));
  expect(saidOf(keys, lines.length)).toBe("The 10 largest of 37 hosts");
  expect(saidOf(keys.slice(0, 3), 3)).toBeUndefined();
});

test("series of devices are not called hosts", () => {
  const disks = keys.flatMap((key) => [`${key}@sda`, `${key}@sdb`]);
  expect(saidOf(disks, MOST_LINES)).toBe("The 10 largest of 74 series");
  expect(chooseLargest(disks, numberOf, false, new Map())[9]?.label).toBe("web-36 sdb");
});

test("a line keeps its colour when others come and go", () => {
  const colours = new Map<string, number>();
  const before = chooseLargest(keys, numberOf, false, colours);
  const after = chooseLargest(keys, (key) => (numberOf(key) === 0 ? 100 : numberOf(key)), false, colours);
  const kept = after.filter((one) => before.some(({ key }) => key === one.key));
  expect(kept).toHaveLength(MOST_LINES - 1);
  for (const one of kept) expect(one.colour).toBe(before.find(({ key }) => key === one.key)?.colour);
  // The newcomer has the colour of the one that left.
  expect(after.find((one) => one.label === "web-0")?.colour).toBe(before.find((one) => one.label === "web-27")?.colour);
});

test("a metric of devices is a line for each of them, beside those that were asked for by name", () => {
  const wanted = [
    { host: "web-0", series: CPU, tone: 0 },
    { host: "web-1", series: "disk.usage_percent@*", tone: 1 },
    { host: "web-2", series: "disk.usage_percent@/", tone: 2 },
  ];
  const there = ["web-1:disk.usage_percent@/", "web-1:disk.usage_percent@/home", "web-1:disk.usage_percent", "web-2:disk.usage_percent@/home", "web-0:disk.usage_percent@/"];
  const { series, of } = choose(there, wanted, () => 1, new Map());
  expect(series.map((one) => one.label)).toEqual(["web-0 cpu.usage_percent", "web-2 disk.usage_percent@/", "web-1 disk.usage_percent@/", "web-1 disk.usage_percent@/home"]);
  // Whoever was asked for by name keeps the colour of its chip; the others have those that are left.
  expect(series.map((one) => one.colour)).toEqual(["--ng-series-1", "--ng-series-3", "--ng-series-2", "--ng-series-4"]);
  expect(of).toBe(4);
  const many = Array.from({ length: 30 }, (_, at) => `web-1:disk.usage_percent@/${at}`);
  const crowded = choose(many, wanted, (key) => Number(key.split("/")[1]), new Map());
  expect(crowded.series).toHaveLength(MOST_LINES);
  expect(saidOf(many, crowded.series.length, crowded.of)).toBe("The 10 largest of 32 series");
});
