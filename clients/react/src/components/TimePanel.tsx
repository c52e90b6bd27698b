/** A panel: a title, and the chart of some series of a host over a span of time. */

import { useMemo, useRef } from "react";
import { HeatChart } from "../chart/HeatChart.tsx";
import { TimeChart } from "../chart/TimeChart.tsx";
import { cameLate } from "../chart/paint.ts";
import { usePoints } from "../chart/points.ts";
import { useChartView } from "../chart/view.ts";
import { type Span, useKeys, useTimeline } from "../hooks.ts";
import type { Panel } from "../panels.ts";
import { moment } from "../units.ts";

/** What a panel shows, of which host. */
export interface TimePanelProps {
  agentId: string;
  panel: Panel;
  span?: Span;
  height?: number;
  /** More to say beside the title. */
  extra?: React.ReactNode;
}

/** The span of charts that are told none. */
export const QUARTER_HOUR: Span = { last: 15 * 60_000 };

/** See the file. */
export function TimePanel({ agentId, panel, span = QUARTER_HOUR, height = 168, extra }: TimePanelProps) {
  const section = useRef<HTMLElement>(null);
  const points = usePoints(section);
  const options = points === undefined ? { enabled: false } : { points };
  const { timeline, error, isLoading, drawn } = useTimeline(agentId, panel.metrics, span, options);
  const keys = useKeys(timeline);
  // Which are largest is asked with each history, not with each sample: lines that come and go can't be followed.
  const { series, leftOut } = useMemo(() => panel.series(keys, timeline.mean), [panel, keys, drawn]);
  const { late = [], utc } = useChartView();
  const marked = timeline.isLoaded ? cameLate(timeline, late) : [];
  const isEmpty = timeline.isLoaded && series.length === 0;
  if (isEmpty && panel.isOptional) return null;
  return (
    <section className="ng-panel" ref={section} data-panel={panel.id} data-drawn={drawn} aria-label={panel.title}>
      <header>
        <h2 title={panel.about}>{panel.title}</h2>
        {extra}
        {timeline.source === "store+agent" && timeline.isLoaded && (
          <small className="ng-note" title="The finest seconds come from the agent's own journal">
            agent detail
          </small>
        )}
        {leftOut > 0 && (
          <small className="ng-note" title="More lines can't be told apart: those with the largest figures of this span are drawn">
            and {leftOut} more
          </small>
        )}
        {marked.length > 0 && (
          <small className="ng-note ng-late" title={marked.map(([from, to]) => `${moment(from * 1000, utc)} – ${moment(to * 1000, utc, false)}: the agent had no session, and sent this when it was back`).join("\n")}>
            part came late
          </small>
        )}
      </header>
      {isEmpty || (!timeline.isLoaded && error) ? (
        <p className="ng-blank" style={{ height: height + 24 }}>
          {error && !timeline.isLoaded ? `Can't be shown: ${words(error)}` : "No figures in this span"}
        </p>
      ) : series.length > (panel.mostLines ?? Number.POSITIVE_INFINITY) ? (
        <HeatChart timeline={timeline} series={series} span={span} height={height + 24} title={`${panel.title}: ${panel.about}`} />
      ) : (
        <TimeChart
          timeline={timeline}
          series={series}
          unit={panel.unit}
          span={span}
          title={`${panel.title}: ${panel.about}`}
          isStacked={panel.isStacked ?? false}
          height={height}
          {...(panel.floor === undefined ? {} : { floor: panel.floor })}
        />
      )}
      {isLoading && !timeline.isLoaded && <span className="ng-sr">loading</span>}
    </section>
  );
}

/** An error as a sentence. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
