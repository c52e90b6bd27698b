/** The ways from one span of time to another, and to a moment that is kept: all through the address. */

import { type Span, bounds } from "@nodeglass/react";
import { setQuery } from "../shell/route.tsx";
import { timesBeside } from "../shell/settings.ts";
import { SECOND, USUAL } from "./span.ts";

/** Nothing finer is known than a second. */
const SHORTEST_MS = 10_000;

/** Shows the last so long, live. */
export function showLast(name: string): void {
  setQuery({ range: name === USUAL ? undefined : name, from: undefined, to: undefined, at: undefined }, false);
}

/** Shows from one moment to another. */
export function showSpan(from: number, to: number, replace = false): void {
  const middle = (from + to) / 2;
  const half = Math.max(to - from, SHORTEST_MS) / 2;
  setQuery({ from: String(Math.round(middle - half)), to: String(Math.round(middle + half)), ...timesBeside() }, replace);
}

/** Keeps a moment. What is live stands still with it: who is sent the address then sees the same. */
export function pin(at: number, span: Span): void {
  const [from, to] = bounds(span, Date.now());
  const whole = String(Math.floor(at / SECOND) * SECOND);
  if ("last" in span) setQuery({ at: whole, from: String(Math.round(from)), to: String(Math.round(to)), ...timesBeside() }, false);
  else setQuery({ at: whole, ...timesBeside() });
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
