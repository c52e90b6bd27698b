/** Series of several hosts in one chart. */

import { metricOf } from "@nodeglass/client";
import { type ChartSeries, type ShownUnit, type Span, TimeChart, Timeline, colour, useClient, useKeys, usePoints, words } from "@nodeglass/react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";

/** More lines than this can't be told apart. */
export const MOST_LINES = 12;
/** Charts that follow live are brought up to date so often: in the span of minutes, a line moves a pixel in that time. */
const REFRESH_MS = 5_000;

/** A line: a host's series. */
export interface Line {
  host: string;
  series: string;
}

/** In what unit a series is shown. */
export function unitOf(series: string): ShownUnit {
  const path = series.split("@")[0] ?? "";
  const unit = metricOf(path)?.unit ?? "";
  return path.startsWith("network.") && unit === "bytes/s" ? "bit/s" : unit;
}

/** The column of a line in the timeline. */
export function keyOf({ host, series }: Line): string {
  return `${host}:${series}`;
}

function lineOf(key: string): Line {
  const colon = key.indexOf(":");
  return { host: key.slice(0, colon), series: key.slice(colon + 1) };
}

/** See the file. `agents` may be patterns; without `series`, what is found is drawn, each in a colour of its own. */
export function FleetChart(props: {
  agents: readonly string[];
  metrics: readonly string[];
  unit: ShownUnit;
  span: Span;
  height: number;
  title: string;
  series?: readonly ChartSeries[];
}) {
  const client = useClient();
  const { agents, metrics, unit, span, height, title } = props;
  const isLive = "last" in span;
  const timeline = useMemo(() => new Timeline([]), [unit, metrics.join()]);
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
  }, [data, timeline]);
  const keys = useKeys(timeline);
  const found = useMemo(() => (props.series ? props.series : allOf(keys, metrics.length > 1)), [keys, props.series, metrics.length]);
  return (
    <div ref={place}>
      {error && <p className="problem">{words(error)}</p>}
      {!error && !isPending && found.length === 0 ? (
        <p className="ng-blank" style={{ height: height + 24 }}>
          No figures in this span
        </p>
      ) : (
        <TimeChart timeline={timeline} series={found} unit={unit} span={span} height={height} title={title} />
      )}
    </div>
  );
}

function allOf(keys: readonly string[], withMetric: boolean): ChartSeries[] {
  const sorted = [...keys].sort(new Intl.Collator("en", { numeric: true }).compare).slice(0, MOST_LINES);
  return sorted.map((key, at) => {
    const { host, series } = lineOf(key);
    const device = series.includes("@") ? ` ${series.split("@")[1]}` : "";
    return { key, label: withMetric ? `${host} ${series}` : host + device, colour: colour(at) };
  });
}
