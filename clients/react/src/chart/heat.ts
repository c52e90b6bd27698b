/** How rows of colour are painted: a cell for each bucket of each series, with gaps, the time axis and the marks of all charts. */

import type { LateSpan } from "../late.ts";
import type { Timeline } from "../timeline.ts";
import { moment } from "../units.ts";
import type { ChartSeries } from "./TimeChart.tsx";
import { drawGaps } from "./gaps.ts";
import { AXIS_WIDTH, MARK_PX, RIGHT_PX, cameLate, drawPinned, palette, timeTick } from "./paint.ts";

/** Room for the time axis. */
export const AXIS_PX = 26;
const TICK_PX = 90;
/** From here on a cell has the colour of what is too much. */
const HOT_PERCENT = 90;
/** Buckets further apart than so many of their widths have a gap between them. */
const APART = 8;

/** Steps of a time axis in seconds. */
const STEPS = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800, 2_592_000];

/** What is painted, from when to when in seconds. */
export interface Heat {
  timeline: Timeline;
  series: readonly ChartSeries[];
  from: number;
  to: number;
  width: number;
  height: number;
  utc: boolean;
  late: readonly LateSpan[];
  pinned: number | undefined;
}

/** Paints it all. */
export function paintHeat(canvas: HTMLCanvasElement, { timeline, series, from, to, width, height, utc, late, pinned }: Heat): void {
  const { times, interval } = timeline;
  const context = canvas.getContext("2d");
  if (!context) return;
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  context.scale(ratio, ratio);
  const colours = palette(canvas);
  const [usual, hot] = [colours.series("--ng-series-1"), colours.series("--ng-series-4")];
  const [room, row] = [width - AXIS_WIDTH - RIGHT_PX, (height - AXIS_PX) / Math.max(1, series.length)];
  const x = (at: number) => AXIS_WIDTH + ((at - from) / (to - from)) * room;
  const box = { left: AXIS_WIDTH, top: 0, width: room, height: height - AXIS_PX };
  drawGaps({ context, box, x: (at) => x(at / 1000), colours, ratio: 1 }, timeline.gaps);
  const columns = series.map((one) => timeline.columns.get(one.key));
  for (const [at, time] of times.entries()) {
    const next = times[at + 1];
    // A bucket is as wide as the way to the next, unless a gap lies between.
    const until = next !== undefined && next - time < interval * APART ? next : time + interval;
    const [left, right] = [Math.max(AXIS_WIDTH, x(time)), Math.min(AXIS_WIDTH + room, x(until))];
    if (right <= left) continue;
    for (const [number, column] of columns.entries()) {
      const value = column?.[at];
      if (value === null || value === undefined) continue;
      context.globalAlpha = 0.06 + 0.94 * Math.min(1, value / 100);
      context.fillStyle = value >= HOT_PERCENT ? hot : usual;
      context.fillRect(left, number * row, right - left + 0.5, Math.max(1, row - (row > 4 ? 1 : 0)));
    }
  }
  context.globalAlpha = 1;
  context.fillStyle = colours.late;
  for (const [first, last] of cameLate(timeline, late)) {
    const left = Math.max(AXIS_WIDTH, x(first));
    const right = Math.min(Math.max(x(last), left + MARK_PX), AXIS_WIDTH + room);
    if (right > left) context.fillRect(left, height - AXIS_PX, right - left, MARK_PX);
  }
  context.fillStyle = colours.text;
  context.font = colours.font;
  context.textAlign = "right";
  context.textBaseline = "middle";
  const every = Math.max(1, Math.ceil(16 / row));
  for (let number = 0; number < series.length; number += every)
    context.fillText(series[number]?.label ?? "", AXIS_WIDTH - 8, number * row + row / 2);
  context.textAlign = "center";
  const step = STEPS.find((one) => one >= ((to - from) * TICK_PX) / room) ?? 2_592_000;
  for (let at = Math.ceil(from / step) * step; at < to; at += step) context.fillText(timeTick(at, step, utc), x(at), height - AXIS_PX / 2 + 2);
  if (pinned !== undefined) drawPinned(context, box, x(pinned / 1000), moment(pinned, utc, false), colours, 1);
}
