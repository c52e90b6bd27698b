/** The span of time that a page shows, as it stands in the address. */

import type { Span } from "@nodeglass/react";

/** A second in milliseconds. */
export const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Spans that go on to now: their names in the address, and how long they are. */
export const RANGES: readonly [name: string, ms: number][] = [
  ["5m", 5 * MINUTE],
  ["15m", 15 * MINUTE],
  ["1h", HOUR],
  ["6h", 6 * HOUR],
  ["24h", DAY],
  ["7d", 7 * DAY],
  ["30d", 30 * DAY],
  ["90d", 90 * DAY],
];

/** What is shown where the address says nothing. */
export const USUAL = "15m";

/**
 * Reads the span out of the address. `name` is the range that is live, `last` the one to go back to: the address keeps it while
 * another span is shown.
 */
export function readSpan(query: URLSearchParams): { span: Span; name: string | undefined; last: string } {
  const range = query.get("range") ?? USUAL;
  const [last, ms] = RANGES.find(([one]) => one === range) ?? [USUAL, 15 * MINUTE];
  const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
  if (from > 0 && to > from) return { span: { from, to }, name: undefined, last };
  return { span: { last: ms }, name: last, last };
}
