import { expect, test } from "vitest";
import { AXIS_WIDTH } from "./chart/paint.ts";
import { pointsFor } from "./chart/points.ts";

test("a chart has a point for each pixel, and few widths are asked for", () => {
  for (let width = AXIS_WIDTH; width < 3_000; width += 7) {
    const points = pointsFor(width);
    expect(points).toBeGreaterThanOrEqual(width - AXIS_WIDTH);
    expect(points).toBeLessThanOrEqual(Math.max(150, 2 * (width - AXIS_WIDTH)));
  }
  expect(pointsFor(AXIS_WIDTH + 601)).toBe(900);
  expect(pointsFor(8_000)).toBe(3_600);
});
