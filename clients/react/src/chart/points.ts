/** How many points a chart is asked for: as many as it has pixels across, about. */

import { type RefObject, useEffect, useState } from "react";
import { AXIS_WIDTH } from "./paint.ts";

/** In steps, so that a window that is drawn wider does not ask for each of its widths. */
const STEPS = [150, 300, 600, 900, 1_200, 1_800, 2_400, 3_600];

/** The points for a chart that is so many pixels wide, its axis included. */
export function pointsFor(width: number): number {
  const room = width - AXIS_WIDTH;
  return STEPS.find((points) => points >= room) ?? 3_600;
}

/** The points for what is drawn in an element; none before it was near the screen: what nobody has scrolled to is not asked for. */
export function usePoints(element: RefObject<Element | null>): number | undefined {
  const [points, setPoints] = useState<number>();
  const isSeen = points !== undefined;
  useEffect(() => {
    const here = element.current;
    if (!here) return;
    if (isSeen) {
      const sizes = new ResizeObserver(([entry]) => entry && entry.contentRect.width > 0 && setPoints(pointsFor(entry.contentRect.width)));
      sizes.observe(here);
      return () => sizes.disconnect();
    }
    const watch = new IntersectionObserver(
      (entries) => {
        const seen = entries.find((entry) => entry.isIntersecting);
        if (seen) setPoints(pointsFor(seen.boundingClientRect.width));
      },
      { rootMargin: "300px" },
    );
    watch.observe(here);
    return () => watch.disconnect();
  }, [isSeen, element]);
  return points;
}
