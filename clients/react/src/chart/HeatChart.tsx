/** Many series of percent as rows of colour: where lines could not be told apart, a row can. */

import { type KeyboardEvent, type PointerEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { type Span, bounds } from "../hooks.ts";
import type { LateSpan } from "../late.ts";
import type { Timeline } from "../timeline.ts";
import { moment, show } from "../units.ts";
import type { ChartSeries } from "./TimeChart.tsx";
import { NOW, leaveFocus, pointAway, wishOf } from "./keys.ts";
import { AXIS_WIDTH, MARK_PX, RIGHT_PX, cameLate, drawPinned, palette, timeTick } from "./paint.ts";
import { useChartView } from "./view.ts";

/** Room for the time axis. */
const AXIS_PX = 26;
const TICK_PX = 90;
/** From here on a cell has the colour of what is too much. */
const HOT = 90;

/** Steps of a time axis in seconds. */
const STEPS = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800, 2_592_000];

/** See the file. */
export function HeatChart(props: { timeline: Timeline; series: readonly ChartSeries[]; span: Span; height: number; title: string }) {
  const { timeline, series, span, height, title } = props;
  const view = useChartView();
  const canvas = useRef<HTMLCanvasElement>(null);
  const line = useRef<HTMLElement>(null);
  const [width, setWidth] = useState(0);
  const [spoken, setSpoken] = useState(NOW);
  const [tip, setTip] = useState<{ text: string; x: number; y: number }>();
  const shown = useRef({ from: 0, to: 1 });
  /** Where the keyboard put the cursor: the moment in seconds, and the row. */
  const keyed = useRef<{ at: number; row: number } | undefined>(undefined);

  useEffect(() => {
    const sizes = new ResizeObserver(([entry]) => entry && setWidth(Math.floor(entry.contentRect.width)));
    if (canvas.current?.parentElement) sizes.observe(canvas.current.parentElement);
    return () => sizes.disconnect();
  }, []);

  useLayoutEffect(() => {
    if (width === 0) return;
    let frame = 0;
    const draw = () => {
      frame = 0;
      if (canvas.current) shown.current = paint(canvas.current, { timeline, series, span, width, height, utc: view.utc, late: view.late ?? [], pinned: view.pinned });
    };
    const redraw = () => {
      frame ||= requestAnimationFrame(draw);
    };
    draw();
    const forget = timeline.subscribe(redraw);
    return () => {
      forget();
      cancelAnimationFrame(frame);
    };
  }, [timeline, series, JSON.stringify(span), width, height, view.utc, view.theme, view.late, view.pinned]);

  // The cursor of the other charts is a line over this one.
  useEffect(
    () =>
      view.cursor.subscribe((at) => {
        const { from, to } = shown.current;
        const x = at === null ? -1 : AXIS_WIDTH + ((at / 1000 - from) / (to - from)) * (width - AXIS_WIDTH - RIGHT_PX);
        if (!line.current) return;
        line.current.style.visibility = x >= AXIS_WIDTH && x <= width ? "visible" : "hidden";
        line.current.style.transform = `translateX(${x}px)`;
      }),
    [view.cursor, width],
  );

  const place = (event: PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const { from, to } = shown.current;
    const at = from + ((x - AXIS_WIDTH) / (width - AXIS_WIDTH - RIGHT_PX)) * (to - from);
    return { x, y, at, row: Math.floor((y / (height - AXIS_PX)) * series.length) };
  };
  const point = (event: PointerEvent) => {
    keyed.current = undefined;
    const { x, y, at, row } = place(event);
    const one = series[row];
    if (x < AXIS_WIDTH || !one) return leave();
    view.cursor.set(Math.round(at * 1000));
    const value = timeline.at(one.key, nearest(timeline.times, at));
    setTip({ text: `${one.label}: ${show(value, "%")}`, x: Math.min(x + 12, width - 110), y: y + 14 });
  };
  const press = (event: KeyboardEvent) => {
    const wish = wishOf(event);
    if (!wish) return;
    event.preventDefault();
    const before = keyed.current;
    if (wish.kind === "pick") return before && view.onPick?.(before.at * 1000);
    if (wish.kind === "let-go") {
      leave();
      return view.onLetGo?.();
    }
    const { from, to } = shown.current;
    const at = pointAway(timeline.times, before?.at, wish.kind === "step" ? wish.by : 0, from, to);
    const row = Math.min(Math.max((before?.row ?? 0) + (wish.kind === "row" && before ? wish.by : 0), 0), series.length - 1);
    const one = series[row];
    if (at === undefined || !one) return;
    keyed.current = { at, row };
    view.cursor.set(at * 1000);
    const text = `${one.label}: ${show(timeline.at(one.key, timeline.times.indexOf(at)), "%")}`;
    const x = AXIS_WIDTH + ((at - from) / (to - from)) * (width - AXIS_WIDTH - RIGHT_PX);
    setTip({ text, x: Math.min(x + 12, width - 110), y: ((row + 0.5) / series.length) * (height - AXIS_PX) });
    setSpoken(`${moment(at * 1000, view.utc)}, ${text}`);
  };
  const leave = () => {
    keyed.current = undefined;
    setSpoken(NOW);
    view.cursor.set(null);
    setTip(undefined);
  };
  return (
    <figure className="ng-chart ng-heat" aria-label={title}>
      <canvas
        ref={canvas}
        style={{ width, height }}
        tabIndex={0}
        role="slider"
        aria-label={title}
        aria-keyshortcuts="ArrowLeft ArrowRight ArrowUp ArrowDown Enter Escape"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={100}
        aria-valuetext={spoken}
        onKeyDown={press}
        onBlur={leave}
        onMouseDown={leaveFocus}
        onPointerMove={point}
        onPointerLeave={leave}
        onClick={(event) => view.onPick?.(Math.round(place(event as unknown as PointerEvent).at * 1000))}
      />
      <i ref={line} className="ng-line" style={{ height: height - AXIS_PX }} />
      {tip && (
        <span className="ng-tip" style={{ left: tip.x, top: tip.y }}>
          {tip.text}
        </span>
      )}
    </figure>
  );
}

/** The last bucket that begins at a moment or before. */
function nearest(times: readonly number[], at: number): number | null {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : low - 1;
}

interface Drawing {
  timeline: Timeline;
  series: readonly ChartSeries[];
  span: Span;
  width: number;
  height: number;
  utc: boolean;
  late: readonly LateSpan[];
  pinned: number | undefined;
}

/** Draws it all; gives the span that is shown, in seconds. */
function paint(canvas: HTMLCanvasElement, { timeline, series, span, width, height, utc, late, pinned }: Drawing): { from: number; to: number } {
  const { times, interval } = timeline;
  const [start, end] = bounds(span, Math.max((times.at(-1) ?? 0) * 1000, Date.now() - 5_000));
  const [from, to] = [start / 1000, end / 1000];
  const context = canvas.getContext("2d");
  if (!context) return { from, to };
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  context.scale(ratio, ratio);
  const colours = palette(canvas);
  const [usual, hot] = [colours.series("--ng-series-1"), colours.series("--ng-series-4")];
  const [room, row] = [width - AXIS_WIDTH - RIGHT_PX, (height - AXIS_PX) / Math.max(1, series.length)];
  const x = (at: number) => AXIS_WIDTH + ((at - from) / (to - from)) * room;
  const columns = series.map((one) => timeline.columns.get(one.key));
  for (const [at, time] of times.entries()) {
    const next = times[at + 1];
    // A bucket is as wide as the way to the next, unless a gap lies between.
    const until = next !== undefined && next - time < interval * 8 ? next : time + interval;
    const [left, right] = [Math.max(AXIS_WIDTH, x(time)), Math.min(AXIS_WIDTH + room, x(until))];
    if (right <= left) continue;
    for (const [number, column] of columns.entries()) {
      const value = column?.[at];
      if (value === null || value === undefined) continue;
      context.globalAlpha = 0.06 + 0.94 * Math.min(1, value / 100);
      context.fillStyle = value >= HOT ? hot : usual;
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
  const box = { left: AXIS_WIDTH, top: 0, width: room, height: height - AXIS_PX };
  if (pinned !== undefined) drawPinned(context, box, x(pinned / 1000), moment(pinned, utc, false), colours, 1);
  return { from, to };
}
