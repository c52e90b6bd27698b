/** Series of several hosts in one chart. */

import { metricOf } from "@nodeglass/client";
import { type ChartSeries, type ShownUnit, type Span, TimeChart, Timeline, useClient, useKeys, usePoints, words } from "@nodeglass/react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { choose, keyOf, saidOf } from "./lines.ts";

/** Charts that follow live are brought up to date so often: in the span of minutes, a line moves a pixel in that time. */
const REFRESH_MS = 5_000;

/** In what unit a series is shown. */
export function unitOf(series: string): ShownUnit {
  const path = series.split("@")[0] ?? "";
  const unit = metricOf(path)?.unit ?? "";
  return path.startsWith("network.") && unit === "bytes/s" ? "bit/s" : unit;
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
  const found = useMemo(
    () => props.series ?? choose(keys, timeline.mean, metrics.length > 1, colours),
    [keys, loads, props.series, metrics.length, timeline, colours],
  );
  const said = props.series ? undefined : saidOf(keys, found.length);
  return (
    <div ref={place}>
      {error && <p className="problem">{words(error)}</p>}
      {said && (
        <p className="ng-note" title="More lines can't be told apart: those whose mean over this span is largest are drawn. Name fewer hosts to see others.">
          {said}
        </p>
      )}
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
