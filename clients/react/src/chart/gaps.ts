/**
 * Gaps on charts: hatched bands that say why there is nothing. On a chart of one host they are as high as the chart; where several
 * hosts are drawn, each that has gaps has a lane of its own at the chart's foot, in its colour.
 */

import type { Gap } from "@nodeglass/client";
import { MARK_PX, type Palette } from "./paint.ts";

/** What people call the reasons of gaps. */
const REASONS: Record<string, string> = {
  not_running: "agent not running",
  stopped: "agent stopped",
  full: "journal full",
  too_old: "too old to keep",
  damaged: "journal damaged",
  waiting: "waiting to be sent",
  away: "host away",
  expired: "no longer kept",
};

/** A gap's reason in words. */
export function reasonOf(gap: Pick<Gap, "reason">): string {
  return REASONS[gap.reason] ?? gap.reason.replaceAll("_", " ");
}

/** What is known of one host of several on a chart. */
export interface Lane {
  /** The host. */
  label: string;
  /** That of its first line: a CSS variable or a colour. */
  colour: string;
  gaps: readonly Gap[];
  /** Where its points came late, in seconds. */
  late: readonly (readonly [from: number, to: number])[];
}

/** Where something is drawn, in a canvas's own pixels. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** How it is drawn: the place of a moment in Unix milliseconds, and how many of the canvas's pixels are one of CSS. */
interface Drawing {
  context: CanvasRenderingContext2D;
  box: Box;
  x: (at: number) => number;
  colours: Palette;
  ratio: number;
}

/** From one line of a hatching to the next. */
const HATCH_PX = 8;
/** A narrower gap is not seen. */
const LEAST_PX = 2;
/** Room beside words. */
const MARGIN_PX = 6;
/** A lane is as high as a line of text. */
const LANE_PX = 15;
/** Lanes take no more of a chart than this. */
const MOST_OF_CHART = 0.5;

/** Draws gaps as high as the chart. */
export function drawGaps(drawing: Drawing, gaps: readonly Gap[]): void {
  for (const gap of gaps) band(drawing, gap, drawing.colours.gap, [reasonOf(gap)]);
}

/** Those lanes that have something to show in a span of Unix milliseconds, as many as a chart has room for. */
export function shownLanes(lanes: readonly Lane[], from: number, to: number, height: number): Lane[] {
  const within = (start: number, end: number) => end > from && start < to;
  return lanes
    .filter(({ gaps, late }) => gaps.some((gap) => within(gap.from, gap.to)) || late.some(([first, last]) => within(first * 1000, last * 1000)))
    .slice(0, Math.floor((height * MOST_OF_CHART) / LANE_PX));
}

/** Draws lanes at the chart's foot, the last one lowest; a host that is alone on the chart has all of it. */
export function drawLanes(drawing: Drawing, lanes: readonly Lane[], isAlone: boolean): void {
  const { box, colours, context, ratio, x } = drawing;
  const height = isAlone ? box.height : LANE_PX * ratio;
  for (const [at, lane] of lanes.entries()) {
    const own = { ...box, top: box.top + box.height - (lanes.length - at) * height, height };
    if (isAlone) drawGaps(drawing, lane.gaps);
    else
      for (const gap of lane.gaps)
        band({ ...drawing, box: own }, gap, colours.series(lane.colour), [`${lane.label}: ${reasonOf(gap)}`, reasonOf(gap)]);
    context.fillStyle = colours.late;
    for (const [first, last] of lane.late) {
      const left = Math.max(x(first * 1000), box.left);
      const right = Math.min(Math.max(x(last * 1000), left + MARK_PX * ratio), box.left + box.width);
      if (right > left) context.fillRect(left, own.top + height - MARK_PX * ratio, right - left, MARK_PX * ratio);
    }
  }
}

/** One gap, with the longest of the texts that there is room for. */
function band({ context, box, x, colours, ratio }: Drawing, gap: Gap, tone: string, texts: readonly string[]): void {
  const from = Math.max(x(gap.from), box.left);
  const to = Math.min(x(gap.to), box.left + box.width);
  if (to - from < LEAST_PX * ratio) return;
  context.save();
  context.beginPath();
  context.rect(from, box.top, to - from, box.height);
  context.clip();
  context.strokeStyle = tone;
  context.lineWidth = ratio;
  context.beginPath();
  // From a multiple on: what moves on live is not hatched anew in other places.
  for (let at = Math.floor((from - box.height) / (HATCH_PX * ratio)) * HATCH_PX * ratio; at < to; at += HATCH_PX * ratio) {
    context.moveTo(at, box.top + box.height);
    context.lineTo(at + box.height, box.top);
  }
  context.stroke();
  context.font = colours.font.replace("11px", `${11 * ratio}px`);
  const fitting = texts.find((text) => context.measureText(text).width + 2 * MARGIN_PX * ratio <= to - from);
  if (fitting !== undefined) {
    const width = context.measureText(fitting).width + MARGIN_PX * ratio;
    const [middle, line] = [(from + to) / 2, 14 * ratio];
    // Words on a hatching can't be read: they have a ground of their own.
    context.fillStyle = colours.surface;
    context.fillRect(middle - width / 2, box.top + (box.height - line) / 2, width, line);
    context.fillStyle = colours.text;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(fitting, middle, box.top + box.height / 2);
  }
  context.restore();
}
