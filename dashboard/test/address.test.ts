/** What addresses say: a span of time, and what is named. */

import { expect, test } from "vitest";
import { readSpan } from "../src/host/span.ts";
import { namedIn } from "../src/shell/route.tsx";

const read = (query: string) => readSpan(new URLSearchParams(query));

test("a span that is zoomed into leads back to the range before it", () => {
  expect(read("range=5m")).toEqual({ span: { last: 300_000 }, name: "5m", last: "5m" });
  expect(read("range=5m&from=1000&to=2000")).toEqual({ span: { from: 1000, to: 2000 }, name: undefined, last: "5m" });
  expect(read("from=1000&to=2000").last).toBe("15m");
  expect(read("range=nonsense")).toEqual({ span: { last: 900_000 }, name: "15m", last: "15m" });
});

test("names are read out of addresses, and what can't be read is no page", () => {
  expect(namedIn("/hosts/web%2F01", "hosts")).toBe("web/01");
  expect(namedIn("/hosts/%E0%A4%A", "hosts")).toBeUndefined();
  expect(namedIn("/boards/web-tier", "hosts")).toBeUndefined();
  expect(namedIn("/hosts/a/b", "hosts")).toBeUndefined();
  expect(namedIn("/hosts/", "hosts")).toBeUndefined();
});
