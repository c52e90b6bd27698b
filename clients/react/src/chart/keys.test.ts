/** Charts by the keyboard. */

import { expect, test } from "vitest";
import { pointAway, wishOf } from "./keys.ts";

const TIMES = Array.from({ length: 60 }, (_, at) => 100 + at * 5);
const key = (key: string, more: object = {}) => wishOf({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...more });

test("left and right go from point to point, with Shift ten at once, and stay within what is shown", () => {
  expect(pointAway(TIMES, undefined, -1, 0, 1_000)).toBe(395);
  expect(pointAway(TIMES, 395, -1, 0, 1_000)).toBe(390);
  expect(pointAway(TIMES, 395, 1, 0, 1_000)).toBe(395);
  expect(pointAway(TIMES, 200, -10, 0, 1_000)).toBe(150);
  expect(pointAway(TIMES, 200, -10, 180, 1_000)).toBe(180);
  // From between two points, and from before all of them.
  expect(pointAway(TIMES, 202, 1, 0, 1_000)).toBe(205);
  expect(pointAway(TIMES, 10, 1, 0, 1_000)).toBe(105);
  expect(pointAway([], undefined, 1, 0, 1_000)).toBeUndefined();
  expect(pointAway(TIMES, 200, 1, 500, 1_000)).toBeUndefined();
});

test("keys with Control and the like are the browser's", () => {
  expect(key("ArrowLeft")).toEqual({ kind: "step", by: -1 });
  expect(key("ArrowRight", { shiftKey: true })).toEqual({ kind: "step", by: 10 });
  expect(key("ArrowLeft", { altKey: true })).toBeUndefined();
  expect(key("Enter")).toEqual({ kind: "pick" });
  expect(key("Escape")).toEqual({ kind: "let-go" });
  expect(key("l")).toBeUndefined();
});
