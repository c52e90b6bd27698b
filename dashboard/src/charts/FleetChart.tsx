/** Series of several hosts in one chart, with what is known of each host's gaps. */

import { metricOf } from "@nodeglass/client";
import { type ChartSeries, type Lane, type ShownUnit, type Span, TimeChart, Timeline, cameLate, moment, reasonOf, useChartView, useClient, useKeys, usePoints, words } from "@nodeglass/react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { type Wanted, choose, chooseLargest, keyOf, lineOf, saidOf } from "./lines.ts";
import { useHostSpans } from "./spans.ts";

/** Charts that follow live are brought up to date so often: in the span of minutes, a line moves a pixel in that time. */
const REFRESH_MS = 5_000;
/** Gaps that a note names; the chart shows them all. */
const NAMED = 12;

/** In what unit a series is shown. */
export function unitOf(series: string): ShownUnit {
  const path = series.split("@")[0] ?? "";
  const unit = metricOf(path)?.unit ?? "";
  return path.startsWith("network.") && unit === "bytes/s" ? "bit/s" : unit;
}

/** See the file. `agents` may be patterns; without `lines`, what is found is drawn, each in a colour of its own. */
export function FleetChart(props: {
  agents: readonly string[];
  metrics: readonly string[];
  unit: ShownUnit;
  span: Span;
  height: number;
  title: string;
  lines?: readonly Wanted[];
}) {
  const client = useClient();
  const { agents, metrics, unit, span, height, title, lines } = props;
  const isLive = "last" in span;
  const timeline = useMemo(() => new Timeline([]), [unit, metrics.join()]);
  const colours = useMemo(() => new Map<string, number>(), [timeline]);
  const [loads, setLoads] = useState(0);
  const place = useRef<HTMLDivElement>(null);
  const points = usePoints(place);
  const { data, error, isPending } = useQuery({
    queryKey: ["fleet-chart", agents, metrics, span, points],
    enabled: points !== undefined,
    placeholderData: keepPreviousData,
    refetchInterval: isLive ? REFRESH_MS : false,
    queryFn: ({ signal }) => {
      const range = isLive ? { start: `-${Math.round(span.last / 1000)}s`, end: "now" } : { start: span.from, end: span.to };
      return client.getFleetHistory({ agents, metrics, ...(points === undefined ? {} : { max_points: points }), ...range }, { signal });
    },
  });
  useEffect(() => {
    const first = data?.agents[0];
    if (!data || !first) return;
    // All have the same buckets: they are put side by side, each under its host's name.
    const times = new Map<number, { timestamp: number; [key: string]: number }>();
    for (const { agent_id: host, data: buckets } of data.agents)
      for (const { timestamp, ...values } of buckets) {
        const row = times.get(timestamp) ?? { timestamp };
        for (const [series, value] of Object.entries(values)) row[keyOf({ host, series })] = value;
        times.set(timestamp, row);
      }
    const rows = [...times.values()].sort((one, other) => one.timestamp - other.timestamp);
    timeline.load({ data: rows, query: first.query, resolution: first.resolution });
    setLoads((count) => count + 1);
  }, [data, timeline]);
  const keys = useKeys(timeline);
  const { series, of } = useMemo(() => {
    if (lines) return choose(keys, lines, timeline.mean, colours);
    return { series: chooseLargest(keys, timeline.mean, metrics.length > 1, colours), of: keys.length };
  }, [keys, loads, JSON.stringify(lines), metrics.length, timeline, colours]);
  const said = saidOf(keys, series.length, of);
  const lanes = useLanes(timeline, series, span, loads);
  return (
    <div ref={place} className="fleet-chart">
      {error && <p className="problem">{words(error)}</p>}
      <p className="notes">
        {said && (
          <span className="ng-note" title="More lines can't be told apart: those whose mean over this span is largest are drawn. Name fewer hosts to see others.">
            {said}
          </span>
        )}
        <Notes lanes={lanes} />
      </p>
      {!error && !isPending && series.length === 0 ? (
        <p className="ng-blank" style={{ height: height + 24 }}>
          No figures in this span
        </p>
      ) : (
        <TimeChart timeline={timeline} series={series} unit={unit} span={span} height={height} title={title} lanes={lanes} />
      )}
    </div>
  );
}

/** What is known of each host that has a line, in the colour of its first. */
function useLanes(timeline: Timeline, series: readonly ChartSeries[], span: Span, loads: number): Lane[] {
  const hosts = [...new Set(series.map((one) => lineOf(one.key).host))];
  const spans = useHostSpans(hosts, span);
  return useMemo(
    () =>
      hosts.map((host) => {
        const own = series.filter((one) => lineOf(one.key).host === host);
        const columns = own.map((one) => timeline.columns.get(one.key));
        const times = timeline.times.filter((_, at) => columns.some((column) => typeof column?.[at] === "number"));
        const { gaps = [], late = [] } = spans.get(host) ?? {};
        return { label: host, colour: own[0]?.colour ?? "", gaps, late: cameLate({ times, interval: timeline.interval }, late) };
      }),
    [timeline, series, spans, loads],
  );
}

/** That there are gaps, and that something came late: whose, when and why stands in the title, and on the chart where there is room. */
function Notes({ lanes }: { lanes: readonly Lane[] }) {
  const { utc } = useChartView();
  const span = (from: number, to: number) => `${moment(from, utc)} – ${moment(to, utc, false)}`;
  const gaps = lanes.flatMap(({ label, gaps }) => gaps.map((gap) => `${label}: ${reasonOf(gap)}, ${span(gap.from, gap.to)}`));
  const late = lanes.flatMap(({ label, late }) => late.map(([from, to]) => `${label}: ${span(from * 1000, to * 1000)}`));
  return (
    <>
      {gaps.length > 0 && (
        <span className="ng-note ng-gaps" title={listed(gaps)}>
          {gaps.length === 1 ? "a gap" : `${gaps.length} gaps`}
        </span>
      )}
      {late.length > 0 && (
        <span className="ng-note ng-late" title={listed(late)}>
          part came late
        </span>
      )}
    </>
  );
}

function listed(all: readonly string[]): string {
  const more = all.length - NAMED;
  return [...all.slice(-NAMED), ...(more > 0 ? [`and ${more} before`] : [])].join("\n");
}
