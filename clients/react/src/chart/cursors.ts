/** The cursors of line charts, which move together by group. */

import uPlot from "uplot";

/** Moves a chart's cursor to a moment in seconds, and those of its group with it; away without one. */
export function moveCursor(plot: uPlot, at: number | undefined): void {
  const move = plot.setCursor as (cursor: { left: number; top: number }, tellHooks: boolean, tellOthers: boolean) => void;
  move(at === undefined ? { left: -10, top: -10 } : { left: plot.valToPos(at, "x"), top: 0 }, true, true);
}

/** Moves those of a group, for a chart that has no lines itself. */
export function moveCursors(group: string, at: number | undefined): void {
  const [first] = uPlot.sync(group).plots;
  if (first) moveCursor(first, at);
}
