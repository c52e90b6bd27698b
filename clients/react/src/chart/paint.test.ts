/** The labels of a time axis. */

import type uPlot from "uplot";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Palette, axes, tickSpace } from "./paint.ts";

const COLOURS: Palette = { text: "", grid: "", gap: "", late: "", pin: "", surface: "", font: "", series: () => "" };
const RATIO = 2;

beforeAll(() => {
  vi.stubGlobal("devicePixelRatio", RATIO);
});
afterAll(() => {
  vi.unstubAllGlobals();
});

/** A plot of five minutes that knows its measures, and whose elements were not laid out yet. */
function plot(width: number): uPlot {
  const fresh = { over: { clientWidth: 0 }, bbox: { width: width * RATIO }, valToPos: (at: number) => (at / 300) * width };
  return fresh as unknown as uPlot;
}

function labels(width: number): readonly unknown[] {
  const values = axes("%", COLOURS, true)[0]?.values as uPlot.Axis.DynamicValues;
  return values(plot(width), [0, 60, 120, 180, 240, 300], 0, 70, 60);
}

test("a chart has its time axis from the first drawing on, before its elements have a size", () => {
  expect(labels(400).slice(1, 5)).toEqual(["00:01", "00:02", "00:03", "00:04"]);
});

test("a label that would be cut off at the end is left out", () => {
  expect(labels(400)[5]).toBe("");
});

test("five minutes have a label a minute on a phone, and labels with seconds have their room", () => {
  expect((60 * 285) / 300).toBeGreaterThan(tickSpace(300, 285));
  expect(tickSpace(300, 740)).toBe(70);
  // Where steps of 30 s would fit without seconds, there are none.
  expect((30 * 400) / 240).toBeLessThan(tickSpace(240, 400));
});
