/** Figures as people read them. */

import { expect, test } from "vitest";
import { ago, duration, exact, increments, moment, show, tick } from "./units.ts";

const plain = (text: string) => text.replaceAll("\u202f", " ");

test.each([
  [25.44, "%", "25.4 %"],
  [100, "%", "100 %"],
  [99.97, "%", "100 %"],
  [0, "%", "0 %"],
  [1_610_612_736, "bytes", "1.5 GiB"],
  [1_048_064, "bytes", "1 MiB"],
  [900, "bytes/s", "900 B/s"],
  [125_000, "bit/s", "1 Mbit/s"],
  [12, "bit/s", "96 bit/s"],
  [53, "1/s", "53 /s"],
  [1_530, "1/s", "1.53k /s"],
  [41.26, "°C", "41.3 °C"],
  [2400, "MHz", "2.40 GHz"],
  [93_784, "s", "1 d 2 h"],
  [3.41, "ms", "3.41 ms"],
  [1.5, "tasks", "1.50"],
] as const)("%f %s is %s", (value, unit, text) => {
  expect(plain(show(value, unit))).toBe(text);
});

test("what is not known is a dash, not a zero", () => {
  expect(show(undefined, "%")).toBe("–");
  expect(show(null, "bytes")).toBe("–");
  expect(show(Number.NaN, "%")).toBe("–");
  expect(exact(undefined, "%")).toBe("not known");
});

test("exact values have every digit", () => {
  expect(exact(1_610_612_737, "bytes")).toBe("1,610,612,737 bytes");
  expect(exact(12.345, "%")).toBe("12.345 %");
});

test("axes are short", () => {
  expect(plain(tick(50, "%"))).toBe("50 %");
  expect(tick(20, "tasks")).toBe("20");
});

test("steps of an axis are whole in the unit people read", () => {
  expect(increments("bytes")).toContain(512 * 1024 ** 2);
  expect(increments("bit/s")).toContain(1_000_000 / 8);
});

test("durations and moments", () => {
  expect(plain(duration(820))).toBe("820 ms");
  expect(plain(duration(90_000))).toBe("1 min 30 s");
  expect(plain(duration(3 * 86_400_000 + 4 * 3_600_000))).toBe("3 d 4 h");
  expect(plain(ago(1_000, 13_400))).toBe("12 s ago");
  expect(ago(undefined, 0)).toBe("never");
  expect(moment(1_795_241_888_547, true)).toBe("2026-11-21 06:18:08 UTC");
});
