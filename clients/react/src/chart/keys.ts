/** Charts by the keyboard: the keys that move the cursor from point to point, keep a moment and let it go. */

import type { KeyboardEvent } from "react";

/** With Shift the cursor moves by so many points. */
const STRIDE = 10;

/** What a key asks of a chart. */
export type Wish = { kind: "step"; by: number } | { kind: "row"; by: number } | { kind: "pick" } | { kind: "let-go" };

/** What a pressed key asks for; nothing if it is none of a chart's. */
export function wishOf(event: Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey">): Wish | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const stride = event.shiftKey ? STRIDE : 1;
  switch (event.key) {
    case "ArrowLeft":
      return { kind: "step", by: -stride };
    case "ArrowRight":
      return { kind: "step", by: stride };
    case "ArrowUp":
      return { kind: "row", by: -1 };
    case "ArrowDown":
      return { kind: "row", by: 1 };
    case "Enter":
      return { kind: "pick" };
    case "Escape":
      return { kind: "let-go" };
    default:
      return undefined;
  }
}

/**
 * The point so many points away from a moment, of those that a span shows, all in seconds. Without a moment it begins at the newest.
 * Nothing where the span shows no point.
 */
export function pointAway(times: readonly number[], at: number | undefined, by: number, from: number, to: number): number | undefined {
  const shown = times.filter((time) => time >= from && time <= to);
  if (at === undefined) return shown.at(-1);
  // The last point at the moment or before it; of a moment before all points, the first.
  const here = Math.max(0, shown.findLastIndex((time) => time <= at));
  return shown[Math.min(Math.max(here + by, 0), shown.length - 1)];
}

/** What the cursor says while it is nowhere. */
export const NOW = "now";

/** Focus on a chart is the keyboard's: after a click, the arrows still move the span. */
export function leaveFocus(event: { preventDefault: () => void }): void {
  event.preventDefault();
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}
