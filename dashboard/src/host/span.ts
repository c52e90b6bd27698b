/** The span of time that a page shows, as it stands in the address. */

import { type Span, bounds } from "@nodeglass/react";
import { setQuery } from "../shell/route.tsx";

const SECOND = 1_000;
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
const USUAL = "15m";
/** Nothing finer is known than a second. */
const SHORTEST_MS = 10_000;

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

/** Shows the last so long, live. */
export function showLast(name: string): void {
  setQuery({ range: name === USUAL ? undefined : name, from: undefined, to: undefined, at: undefined }, false);
}

/** Shows from one moment to another. */
export function showSpan(from: number, to: number, replace = false): void {
  const middle = (from + to) / 2;
  const half = Math.max(to - from, SHORTEST_MS) / 2;
  setQuery({ from: String(Math.round(middle - half)), to: String(Math.round(middle + half)) }, replace);
}

/** Keeps a moment. What is live stands still with it: who is sent the address then sees the same. */
export function pin(at: number, span: Span): void {
  const [from, to] = bounds(span, Date.now());
  const whole = String(Math.floor(at / SECOND) * SECOND);
  if ("last" in span) setQuery({ at: whole, from: String(Math.round(from)), to: String(Math.round(to)) }, false);
  else setQuery({ at: whole });
}

/** Lets the moment go; the span stays. */
export function unpin(): void {
  setQuery({ at: undefined });
}

/** Moves the span by a share of its length; not beyond now. */
export function pan(from: number, to: number, share: number): void {
  const by = Math.min((to - from) * share, Date.now() - to);
  showSpan(from + by, to + by, true);
}

/** Makes the span so many times as long, around its middle. */
export function zoom(from: number, to: number, factor: number): void {
  const middle = (from + to) / 2;
  const half = ((to - from) / 2) * factor;
  const end = Math.min(middle + half, Date.now());
  showSpan(end - 2 * half, end, true);
}
