/** How charts are painted: colours from CSS variables, axes, stacked areas, marks. Gaps are painted beside it. */

import type uPlot from "uplot";
import type { LateSpan } from "../late.ts";
import type { Timeline } from "../timeline.ts";
import { type ShownUnit, increments, moment, tick } from "../units.ts";

/** Colours that a canvas needs, read from where the chart stands. */
export interface Palette {
  text: string;
  grid: string;
  gap: string;
  late: string;
  pin: string;
  surface: string;
  font: string;
  series: (name: string) => string;
}

/** Reads the variables that apply to an element. */
export function palette(element: Element): Palette {
  const style = getComputedStyle(element);
  const read = (name: string, otherwise: string) => style.getPropertyValue(name).trim() || otherwise;
  return {
    text: read("--ng-text-dim", "#666"),
    grid: read("--ng-grid", "#8882"),
    gap: read("--ng-gap", "#8883"),
    late: read("--ng-late", "#7c3aed"),
    pin: read("--ng-pin", "#0f766e"),
    surface: read("--ng-surface", "#fff"),
    font: `11px ${read("--ng-font", "system-ui, sans-serif")}`,
    series: (name) => (name.startsWith("--") ? read(name, "#3b82f6") : name),
  };
}

/** Colours that can be told apart. */
export const COLOURS = 10;

/** The colour of the n-th series. */
export function colour(index: number): string {
  return `--ng-series-${(index % COLOURS) + 1}`;
}

/** The width of the value axis: the same for all, so that charts above one another have one time axis. */
export const AXIS_WIDTH = 58;

/** Room right of the last point. */
export const RIGHT_PX = 6;
/** Room for labels without seconds, and with them, and the finest step that is shown with them. */
const SHORT_SPACE_PX = 46;
const LONG_SPACE_PX = 70;
const LONG_STEP_SECONDS = 30;

/** The least room from label to label: on a narrow chart, steps of a minute need less than those of seconds would. */
export function tickSpace(seconds: number, width: number): number {
  return (seconds * SHORT_SPACE_PX) / width > LONG_STEP_SECONDS ? SHORT_SPACE_PX : LONG_SPACE_PX;
}

/** The widths of `12:34` and of `12:34:56` at the axis. */
const SHORT_PX = 32;
const LONG_PX = 50;

/** The axes. What is drawn below the line, as what goes out, has no sign. */
export function axes(unit: ShownUnit, colours: Palette, utc: boolean): uPlot.Axis[] {
  const shared = { stroke: colours.text, font: colours.font, ticks: { show: false } };
  return [
    {
      ...shared,
      grid: { show: false },
      size: 26,
      gap: 6,
      space: (_plot, _axis, from, to, width) => tickSpace(to - from, width),
      // A label at the very end would be cut off. Where that is, the plot's own measures say: when labels are made first, its elements
      // have no size yet.
      values: (plot, splits, _axis, _space, step) => {
        const end = plot.bbox.width / devicePixelRatio + RIGHT_PX;
        return splits.map((at) => (plot.valToPos(at, "x") + (step < 60 ? LONG_PX : SHORT_PX) / 2 > end ? "" : timeTick(at, step, utc)));
      },
    },
    {
      ...shared,
      size: AXIS_WIDTH,
      gap: 8,
      space: 34,
      grid: { stroke: colours.grid, width: 1 },
      incrs: increments(unit),
      values: (_plot, splits) => splits.map((value) => (value === null ? "" : tick(Math.abs(value), unit))),
    },
  ];
}

/** A moment as a time axis with such steps has it. */
export function timeTick(at: number, step: number, utc: boolean): string {
  const text = moment(at * 1000, utc);
  if (text.slice(11, 19) === "00:00:00") return text.slice(5, 10);
  return step < 60 ? text.slice(11, 19) : text.slice(11, 16);
}

/** Sums of series from the first on; null where none of them has a value. */
export function stacked(columns: readonly (readonly (number | null)[])[], length: number): (number | null)[][] {
  const sums = new Array<number>(length).fill(0);
  return columns.map((column) => {
    const summed = new Array<number | null>(length);
    for (let at = 0; at < length; at++) {
      const value = column[at];
      if (value === null || value === undefined) {
        summed[at] = null;
      } else {
        sums[at] = (sums[at] ?? 0) + value;
        summed[at] = sums[at] ?? null;
      }
    }
    return summed;
  });
}

/** The height of a mark, and the least that is seen of it. */
export const MARK_PX = 3;

/** Where points stand that came late, from the first bucket to the end of the last, in seconds: buckets that lie within. */
export function cameLate({ times, interval }: Pick<Timeline, "times" | "interval">, late: readonly LateSpan[]): [number, number][] {
  return late.flatMap(({ from, to }): [number, number][] => {
    const within = times.filter((time) => time * 1000 >= from && (time + interval) * 1000 <= to);
    const [first, last] = [within[0], within.at(-1)];
    return first === undefined || last === undefined ? [] : [[first, last + interval]];
  });
}

/** Marks what came late: a bar along the foot of the chart, below the points that it is about. */
export function drawLate(plot: uPlot, timeline: Timeline, late: readonly LateSpan[], colours: Palette): void {
  const { ctx, bbox } = plot;
  const height = MARK_PX * devicePixelRatio;
  ctx.save();
  ctx.fillStyle = colours.late;
  for (const [first, last] of cameLate(timeline, late)) {
    const from = Math.max(plot.valToPos(first, "x", true), bbox.left);
    const to = Math.min(Math.max(plot.valToPos(last, "x", true), from + height), bbox.left + bbox.width);
    if (to > from) ctx.fillRect(from, bbox.top + bbox.height - height, to - from, height);
  }
  ctx.restore();
}

/** Marks the moment that is kept: a line through the chart, with its time at the top, in a canvas's own pixels. */
export function drawPinned(
  context: CanvasRenderingContext2D,
  box: { left: number; top: number; width: number; height: number },
  x: number,
  text: string,
  colours: Palette,
  ratio: number,
): void {
  if (x < box.left || x > box.left + box.width) return;
  context.save();
  context.fillStyle = colours.pin;
  context.fillRect(Math.round(x - ratio / 2), box.top, Math.max(1, Math.round(ratio)), box.height);
  context.font = colours.font.replace("11px", `${11 * ratio}px`);
  const [width, height] = [context.measureText(text).width + 8 * ratio, 16 * ratio];
  // Beside the line, on the side that has room.
  const left = x + width > box.left + box.width ? x - width : x;
  context.fillRect(left, box.top, width, height);
  context.fillStyle = colours.surface;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(text, left + 4 * ratio, box.top + height / 2);
  context.restore();
}
