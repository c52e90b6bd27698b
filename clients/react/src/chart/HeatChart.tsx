/** Many series of percent as rows of colour: where lines could not be told apart, a row can. */

import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { type Span, bounds } from "../hooks.ts";
import type { Timeline } from "../timeline.ts";
import { moment, show } from "../units.ts";
import type { ChartSeries } from "./TimeChart.tsx";
import { moveCursors } from "./cursors.ts";
import { listen } from "./gestures.ts";
import { AXIS_PX, paintHeat } from "./heat.ts";
import { NOW, leaveFocus, pointAway, wishOf } from "./keys.ts";
import { AXIS_WIDTH, RIGHT_PX } from "./paint.ts";
import { useChartView } from "./view.ts";

/** About as wide as what is said beside the pointer. */
const TIP_PX = 110;

/** See the file. */
export function HeatChart(props: { timeline: Timeline; series: readonly ChartSeries[]; span: Span; height: number; title: string }) {
  const { timeline, series, span, height, title } = props;
  const view = useChartView();
  const canvas = useRef<HTMLCanvasElement>(null);
  const line = useRef<HTMLElement>(null);
  const select = useRef<HTMLElement>(null);
  const [width, setWidth] = useState(0);
  const [spoken, setSpoken] = useState(NOW);
  const [tip, setTip] = useState<{ text: string; x: number; y: number }>();
  const shown = useRef({ from: 0, to: 1 });
  /** What fingers show while they stretch the time. */
  const preview = useRef<{ from: number; to: number } | undefined>(undefined);
  /** Where the keyboard put the cursor: the moment in seconds, and the row. */
  const keyed = useRef<{ at: number; row: number } | undefined>(undefined);
  const redraw = useRef(() => {});

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
      const [start, end] = bounds(span, Math.max((timeline.times.at(-1) ?? 0) * 1000, Date.now() - 5_000));
      shown.current = preview.current ?? { from: start / 1000, to: end / 1000 };
      if (canvas.current) paintHeat(canvas.current, { timeline, series, ...shown.current, width, height, utc: view.utc, late: view.late ?? [], pinned: view.pinned });
      markCursor(view.cursor.at);
    };
    redraw.current = () => {
      frame ||= requestAnimationFrame(draw);
    };
    draw();
    const forget = timeline.subscribe(redraw.current);
    return () => {
      forget();
      cancelAnimationFrame(frame);
    };
  }, [timeline, series, JSON.stringify(span), width, height, view.utc, view.theme, view.late, view.pinned]);

  /** Where a moment in seconds stands. */
  const xOf = (at: number) => AXIS_WIDTH + ((at - shown.current.from) / (shown.current.to - shown.current.from)) * (width - AXIS_WIDTH - RIGHT_PX);
  /** The cursor, whichever chart it is over, is a line over this one. */
  const markCursor = (at: number | null) => {
    if (!line.current) return;
    const x = at === null ? -1 : xOf(at / 1000);
    line.current.style.visibility = x >= AXIS_WIDTH && x <= width ? "visible" : "hidden";
    line.current.style.transform = `translateX(${x}px)`;
  };
  useEffect(() => view.cursor.subscribe(markCursor), [view.cursor, width]);

  /** Puts the cursor at a moment in seconds, in all charts that move together, and says what is in a row then. */
  const put = (at: number, one: ChartSeries, index: number | null, y: number): string => {
    view.cursor.set(Math.round(at * 1000));
    moveCursors(view.group, at);
    const text = `${one.label}: ${show(timeline.at(one.key, index), "%")}`;
    setTip({ text, x: Math.min(xOf(at) + 12, width - TIP_PX), y });
    return text;
  };
  const leave = () => {
    if (tip === undefined && keyed.current === undefined && view.cursor.at === null) return;
    keyed.current = undefined;
    setSpoken(NOW);
    view.cursor.set(null);
    moveCursors(view.group, undefined);
    setTip(undefined);
  };
  const momentAt = (x: number) => shown.current.from + ((x - AXIS_WIDTH) / (width - AXIS_WIDTH - RIGHT_PX)) * (shown.current.to - shown.current.from);
  const point = (x: number, y: number) => {
    keyed.current = undefined;
    const one = series[Math.floor((y / (height - AXIS_PX)) * series.length)];
    if (x < AXIS_WIDTH || x > width - RIGHT_PX || !one) return leave();
    const at = momentAt(x);
    put(at, one, nearest(timeline.times, at), y + 14);
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
    const text = put(at, one, timeline.times.indexOf(at), ((row + 0.5) / series.length) * (height - AXIS_PX));
    setSpoken(`${moment(at * 1000, view.utc)}, ${text}`);
  };

  const latest = useRef({ point, leave, onZoom: view.onZoom, width });
  latest.current = { point, leave, onZoom: view.onZoom, width };
  useEffect(() => {
    if (!canvas.current) return;
    return listen(
      canvas.current,
      {
        shown: () => ({ ...shown.current, left: AXIS_WIDTH, width: latest.current.width - AXIS_WIDTH - RIGHT_PX }),
        mark: (chosen) => {
          if (!select.current) return;
          select.current.style.visibility = chosen ? "visible" : "hidden";
          if (!chosen) return;
          select.current.style.left = `${chosen.left}px`;
          select.current.style.width = `${chosen.right - chosen.left}px`;
        },
        preview: (span) => {
          preview.current = span;
          redraw.current();
        },
        point: (x, y) => latest.current.point(x, y),
        leave: () => latest.current.leave(),
        zoom: (from, to) => latest.current.onZoom?.(from, to),
      },
      true,
    );
  }, []);

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
        onBlur={() => keyed.current && leave()}
        onMouseDown={leaveFocus}
        onPointerMove={(event) => event.pointerType === "mouse" && point(event.nativeEvent.offsetX, event.nativeEvent.offsetY)}
        onPointerLeave={(event) => event.pointerType === "mouse" && leave()}
        onClick={(event) => event.nativeEvent.offsetX >= AXIS_WIDTH && view.onPick?.(Math.round(momentAt(event.nativeEvent.offsetX) * 1000))}
      />
      <i ref={select} className="ng-select" style={{ height: height - AXIS_PX }} />
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
