/** Which of many hosts a chart shows, and that it says so. */

import { expect, test } from "vitest";
import { MOST_LINES, choose, saidOf } from "../src/charts/lines.ts";

const CPU = "cpu.usage_percent";
const keys = Array.from({ length: 37 }, (_, at) => `web-${at}:${CPU}`);
const numberOf = (key: string) => Number(/\d+/.exec(key)?.[0]);

test("the largest are drawn, and how many there are is said", () => {
  const lines = choose(keys, numberOf, false, new Map());
  expect(lines.map((one) => one.label)).toEqual(Array.from({ length: MOST_LINES }, (_, at) => `web-${at + 27}`));
  expect(saidOf(keys, lines.length)).toBe("The 10 largest of 37 hosts");
  expect(saidOf(keys.slice(0, 3), 3)).toBeUndefined();
});

test("series of devices are not called hosts", () => {
  const disks = keys.flatMap((key) => [`${key}@sda`, `${key}@sdb`]);
  expect(saidOf(disks, MOST_LINES)).toBe("The 10 largest of 74 series");
  expect(choose(disks, numberOf, false, new Map())[9]?.label).toBe("web-36 sdb");
});

test("a line keeps its colour when others come and go", () => {
  const colours = new Map<string, number>();
  const before = choose(keys, numberOf, false, colours);
  const after = choose(keys, (key) => (numberOf(key) === 0 ? 100 : numberOf(key)), false, colours);
  const kept = after.filter((one) => before.some(({ key }) => key === one.key));
  expect(kept).toHaveLength(MOST_LINES - 1);
  for (const one of kept) expect(one.colour).toBe(before.find(({ key }) => key === one.key)?.colour);
  // The newcomer has the colour of the one that left.
  expect(after.find((one) => one.label === "web-0")?.colour).toBe(before.find((one) => one.label === "web-27")?.colour);
});
