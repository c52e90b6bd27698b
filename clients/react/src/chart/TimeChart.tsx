/** A chart of a timeline: lines or stacked areas on a time axis, with a legend that says what is under the cursor. */

import { type CSSProperties, type KeyboardEvent, useEffect, useLayoutEffect, useRef } from "react";
import uPlot from "uplot";
import { type Span, bounds } from "../hooks.ts";
import type { Timeline } from "../timeline.ts";
import { type ShownUnit, exact, figureWidth, moment, show } from "../units.ts";
import { moveCursor } from "./cursors.ts";
import { type Lane, drawGaps, drawLanes, shownLanes } from "./gaps.ts";
import { type Actions, CLICK_PX, listen } from "./gestures.ts";
import { NOW, leaveFocus, pointAway, wishOf } from "./keys.ts";
import { RIGHT_PX, axes, drawLate, drawPinned, palette, stacked } from "./paint.ts";
import { type ChartView, useChartView } from "./view.ts";

/** One line or area of a chart. */
export interface ChartSeries {
  /** The series in the timeline. */
  key: string;
  label: string;
  /** A CSS variable or a colour. */
  colour: string;
  /** Drawn below the axis, as what goes out below what comes in. */
  mirrored?: boolean;
  /** The area below the line is filled. */
  filled?: boolean;
}

/** What is drawn. */
export interface TimeChartProps {
  timeline: Timeline;
  series: readonly ChartSeries[];
  unit: ShownUnit;
  span: Span;
  /** Areas on top of one another. */
  isStacked?: boolean;
  /** The axis goes at least this far. */
  floor?: number;
  height?: number;
  title: string;
  /** Where lines are of several hosts: what is known of each. A timeline's own gaps are those of all lines. */
  lanes?: readonly Lane[];
}

/** See the file. */
export function TimeChart(props: TimeChartProps) {
  const view = useChartView();
  const box = useRef<HTMLDivElement>(null);
  const legend = useRef<HTMLUListElement>(null);
  const latest = useRef({ props, view });
  latest.current = { props, view };
  const plot = useRef<uPlot | undefined>(undefined);
  /** Where the keyboard put the cursor, in seconds. */
  const keyed = useRef<number | undefined>(undefined);
  /** What fingers show while they stretch the time. */
  const preview = useRef<Shown | undefined>(undefined);
  const { timeline, series, unit, isStacked = false, height = 168, floor } = props;
  const shape = JSON.stringify([series, unit, isStacked, floor, view.theme, view.utc, view.group, height]);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = makePlot(element, latest, legend, height);
    plot.current = made;
    const deafen = listen(made.over, actionsOf(made, latest, preview), false);
    const sizes = new ResizeObserver(() => {
      const width = Math.floor(element.clientWidth);
      if (width > 0 && width !== made.width) made.setSize({ width, height });
    });
    sizes.observe(element);
    let frame = 0;
    const draw = () => {
      frame = 0;
      feed(made, latest.current.props, preview.current);
      // In a live chart the points move on: the cursor goes with its point.
      if (keyed.current !== undefined) place(keyed.current);
      if (made.cursor.left === undefined || made.cursor.left < 0) writeLegend(legend.current, latest.current.props, null);
    };
    const redraw = () => {
      frame ||= requestAnimationFrame(draw);
    };
    draw();
    const forget = timeline.subscribe(redraw);
    return () => {
      forget();
      deafen();
      cancelAnimationFrame(frame);
      sizes.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [timeline, shape]);

  useEffect(() => plot.current?.redraw(false), [view.late, view.pinned, props.lanes]);

  /** Puts the cursor at a point, in the charts that move together as well, and says what is there; nowhere without a point. */
  const place = (at: number | undefined) => {
    const made = plot.current;
    if (!made) return;
    const [from, to] = shownBy(made);
    const isShown = at !== undefined && at >= from && at <= to;
    keyed.current = isShown ? at : undefined;
    moveCursor(made, isShown ? at : undefined);
    latest.current.view.cursor.set(isShown ? at * 1000 : null);
    const { props, view } = latest.current;
    box.current?.setAttribute("aria-valuenow", String(isShown ? Math.round(((at - from) / (to - from)) * 100) : 100));
    box.current?.setAttribute("aria-valuetext", isShown ? said(props, at, view.utc) : NOW);
  };
  const press = (event: KeyboardEvent) => {
    const made = plot.current;
    const wish = wishOf(event);
    if (!made || !wish || wish.kind === "row") return;
    event.preventDefault();
    if (wish.kind === "step") {
      place(pointAway(timeline.times, keyed.current, wish.by, ...shownBy(made)));
    } else if (wish.kind === "pick") {
      if (keyed.current !== undefined) view.onPick?.(keyed.current * 1000);
    } else {
      place(undefined);
      view.onLetGo?.();
    }
  };

  const spanKey = JSON.stringify(props.span);
  useEffect(() => {
    // The axis moves at once; the points follow when they are there.
    if (plot.current) feed(plot.current, latest.current.props, undefined);
  }, [spanKey]);

  return (
    <figure className="ng-chart" aria-label={props.title}>
      <ul className="ng-legend" ref={legend} style={{ "--ng-figure": `${figureWidth(unit)}ch` } as CSSProperties}>
        {series.map((one) => (
          <li key={one.key}>
            <i style={{ background: one.colour.startsWith("--") ? `var(${one.colour})` : one.colour }} />
            <span>{one.label}</span>
            <b />
          </li>
        ))}
      </ul>
      <div
        className="ng-plot"
        ref={box}
        style={{ height }}
        tabIndex={0}
        role="slider"
        aria-label={props.title}
        aria-keyshortcuts="ArrowLeft ArrowRight Enter Escape"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={100}
        aria-valuetext={NOW}
        onKeyDown={press}
        onBlur={() => keyed.current !== undefined && place(undefined)}
        onPointerMove={() => {
          keyed.current = undefined;
        }}
        onMouseDown={leaveFocus}
      />
    </figure>
  );
}

/** From when to when a plot shows, in seconds. */
function shownBy(plot: uPlot): [from: number, to: number] {
  return [plot.scales.x?.min ?? 0, plot.scales.x?.max ?? 0];
}

/** A moment and the figures of then, in words. */
function said({ timeline, series, unit }: TimeChartProps, at: number, utc: boolean): string {
  const index = timeline.times.indexOf(at);
  return `${moment(at * 1000, utc)}: ${series.map((one) => `${one.label} ${show(timeline.at(one.key, index), unit)}`).join(", ")}`;
}

/** A span in seconds. */
interface Shown {
  from: number;
  to: number;
}

/** What fingers do to a plot. */
function actionsOf(plot: uPlot, latest: Latest, preview: { current: Shown | undefined }): Actions {
  const leave = () => {
    moveCursor(plot, undefined);
    latest.current.view.cursor.set(null);
  };
  return {
    shown: () => {
      const [from, to] = shownBy(plot);
      return { from, to, left: 0, width: plot.over.clientWidth };
    },
    mark: (chosen) =>
      plot.setSelect(chosen ? { left: chosen.left, width: chosen.right - chosen.left, top: 0, height: plot.over.clientHeight } : NOTHING, false),
    preview: (span) => {
      preview.current = span;
      feed(plot, latest.current.props, span);
    },
    point: (x) => {
      const at = plot.posToVal(x, "x");
      moveCursor(plot, at);
      latest.current.view.cursor.set(Math.round(at * 1000));
    },
    leave,
    zoom: (from, to) => latest.current.view.onZoom?.(from, to),
  };
}

const NOTHING = { left: 0, top: 0, width: 0, height: 0 };

type Latest = { current: { props: TimeChartProps; view: ChartView } };

function makePlot(element: HTMLElement, latest: Latest, legend: { current: HTMLUListElement | null }, height: number): uPlot {
  const { props, view } = latest.current;
  const colours = palette(element);
  let spoken: number | undefined;
  const options: uPlot.Options = {
    width: Math.max(80, Math.floor(element.clientWidth)),
    height,
    pxAlign: 1,
    padding: [8, RIGHT_PX, 0, 0],
    legend: { show: false },
    tzDate: (at) => (view.utc ? uPlot.tzDate(new Date(at * 1000), "Etc/UTC") : new Date(at * 1000)),
    scales: { x: { time: true, auto: false }, y: { auto: true, range: (_plot, low, high) => valueRange(low, high, props) } },
    axes: axes(props.unit, colours, view.utc),
    series: [{}, ...plotSeries(props, colours)],
    cursor: {
      sync: { key: view.group, setSeries: false },
      drag: { x: true, y: false, setScale: false, dist: CLICK_PX },
      points: { size: 6 },
      focus: { prox: -1 },
    },
    hooks: {
      drawClear: [
        (plot) => {
          const { timeline, lanes = [] } = latest.current.props;
          const [from, to] = shownBy(plot);
          const x = (at: number) => plot.valToPos(at / 1000, "x", true);
          const drawing = { context: plot.ctx, box: plot.bbox, x, colours, ratio: devicePixelRatio };
          drawGaps(drawing, timeline.gaps);
          drawLanes(drawing, shownLanes(lanes, from * 1000, to * 1000, height), lanes.length === 1);
        },
      ],
      draw: [
        (plot) => {
          const { late = [], pinned, utc } = latest.current.view;
          drawLate(plot, latest.current.props.timeline, late, colours);
          if (pinned !== undefined)
            drawPinned(plot.ctx, plot.bbox, plot.valToPos(pinned / 1000, "x", true), moment(pinned, utc, false), colours, devicePixelRatio);
        },
      ],
      setCursor: [
        (plot) => {
          const { left, idx } = plot.cursor;
          const isOver = left !== undefined && left >= 0;
          writeLegend(legend.current, latest.current.props, isOver ? (idx ?? null) : null);
          // Of the charts that move together, the one under the pointer speaks, and only of the pointer's own moves: in a
          // live chart the points move below it.
          if (left === spoken || !plot.over.matches(":hover")) return;
          spoken = left;
          latest.current.view.cursor.set(isOver ? Math.round(plot.posToVal(left, "x") * 1000) : null);
        },
      ],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < CLICK_PX) return;
          const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
          plot.setSelect(NOTHING, false);
          latest.current.view.onZoom?.(Math.round(from * 1000), Math.round(to * 1000));
        },
      ],
      ready: [
        (plot) => {
          let pressed: number | undefined;
          plot.over.addEventListener("mousedown", (event) => {
            pressed = event.clientX;
          });
          plot.over.addEventListener("click", (event) => {
            if (pressed === undefined || Math.abs(event.clientX - pressed) >= CLICK_PX) return;
            const at = plot.posToVal(plot.cursor.left ?? 0, "x");
            latest.current.view.onPick?.(Math.round(at * 1000));
          });
          plot.over.addEventListener("mouseleave", () => {
            spoken = undefined;
            latest.current.view.cursor.set(null);
          });
        },
      ],
    },
  };
  if (props.isStacked && props.series.length > 1) {
    // Series run from the top of the stack down: each area ends at the next one's line.
    options.bands = props.series.slice(1).map((_, at) => ({ series: [at + 1, at + 2] as [number, number] }));
  }
  return new uPlot(options, [[]], element);
}

/** Series in the order of drawing: of a stack, the top first. */
function ordered(props: TimeChartProps): readonly ChartSeries[] {
  return props.isStacked ? [...props.series].reverse() : props.series;
}

function plotSeries(props: TimeChartProps, colours: ReturnType<typeof palette>): uPlot.Series[] {
  return ordered(props).map((one) => {
    const stroke = colours.series(one.colour);
    const fill = props.isStacked ? alpha(stroke, 0.55) : one.filled || one.mirrored ? alpha(stroke, 0.14) : undefined;
    return {
      label: one.label,
      stroke,
      width: props.isStacked ? 1 : 1.5,
      points: { show: false },
      ...(fill ? { fill } : {}),
      ...(one.mirrored ? { fillTo: 0 } : {}),
    };
  });
}

function alpha(colour: string, share: number): string {
  return `color-mix(in srgb, ${colour} ${Math.round(share * 100)}%, transparent)`;
}

function valueRange(low: number | null, high: number | null, props: TimeChartProps): [number, number] {
  const top = Math.max(high ?? 0, props.floor ?? 0);
  const bottom = Math.min(low ?? 0, 0);
  if (props.unit === "%" && bottom === 0 && top <= 100 && props.floor === 100) return [0, 100];
  if (top === 0 && bottom === 0) return [0, props.unit === "%" ? 1 : 8];
  return [bottom * 1.08, top * 1.08];
}

/** Gives the plot the timeline's points and the span's axis. */
function feed(plot: uPlot, props: TimeChartProps, preview: Shown | undefined): void {
  const { timeline } = props;
  const length = timeline.times.length;
  const empty = new Array<number | null>(length).fill(null);
  let columns: (readonly (number | null)[])[] = props.series.map((one) => {
    const column = timeline.columns.get(one.key) ?? empty;
    return one.mirrored ? column.map((value) => (value === null ? null : -value)) : column;
  });
  if (props.isStacked) columns = stacked(columns, length).reverse();
  const now = timeline.times.at(-1) ?? Date.now() / 1000;
  const [from, to] = bounds(props.span, Math.max(now * 1000, Date.now() - 5_000));
  plot.batch(() => {
    plot.setData([timeline.times, ...columns] as uPlot.AlignedData, false);
    plot.setScale("x", preview ? { min: preview.from, max: preview.to } : { min: from / 1000, max: to / 1000 });
  });
}

/** Writes the figures under the cursor, or those of now, into the legend. */
function writeLegend(legend: HTMLUListElement | null, props: TimeChartProps, index: number | null): void {
  if (!legend) return;
  const rows = legend.children;
  for (const [at, one] of props.series.entries()) {
    const figure = rows[at]?.lastElementChild;
    if (!(figure instanceof HTMLElement)) continue;
    const value = props.timeline.at(one.key, index);
    const text = show(value, props.unit);
    if (figure.textContent !== text) figure.textContent = text;
    // Goes on where the rounded one stands.
    const all = exact(value, props.unit);
    if (figure.title !== all) figure.title = all;
  }
}
