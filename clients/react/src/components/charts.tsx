/**
 * The charts by name. Each shows a host's history and goes on live (`agentId`), or what it is given (`metrics`): then it
 * keeps what it was shown, and draws that.
 */

import type { CpuMetrics, DiskMetrics, MemoryMetrics, MetricsSnapshot, NetworkMetrics } from "@nodeglass/client";
import { useEffect, useMemo } from "react";
import { TimeChart } from "../chart/TimeChart.tsx";
import { type Span, useKeys } from "../hooks.ts";
import { type Panel, panel } from "../panels.ts";
import { Timeline } from "../timeline.ts";
import { QUARTER_HOUR, TimePanel } from "./TimePanel.tsx";

/** Of a host, or of figures that are handed in. */
export interface ChartProps<Metrics> {
  agentId?: string;
  metrics?: Metrics | undefined;
  span?: Span;
  height?: number;
}

function chart<Metrics>(id: string, sample: (metrics: Metrics) => Partial<MetricsSnapshot>) {
  const shown = panel(id);
  return function Chart({ agentId, metrics, span = QUARTER_HOUR, height = 168 }: ChartProps<Metrics>) {
    if (agentId !== undefined) return <TimePanel agentId={agentId} panel={shown} span={span} height={height} />;
    return <Given panel={shown} sample={metrics === undefined ? undefined : sample(metrics)} given={metrics} span={span} height={height} />;
  };
}

function Given(props: { panel: Panel; sample: Partial<MetricsSnapshot> | undefined; given: unknown; span: Span; height: number }) {
  const timeline = useMemo(() => new Timeline(props.panel.metrics), [props.panel]);
  useEffect(() => {
    if (props.sample) timeline.append({ timestamp: Date.now(), cpu: {}, memory: {}, disks: [], network_interfaces: [], ...props.sample });
  }, [timeline, props.given]);
  const keys = useKeys(timeline);
  const { series, leftOut } = useMemo(() => props.panel.series(keys, timeline.mean), [props.panel, keys]);
  return (
    <section className="ng-panel" aria-label={props.panel.title}>
      <header>
        <h2 title={props.panel.about}>{props.panel.title}</h2>
        {leftOut > 0 && <small className="ng-note">and {leftOut} more</small>}
      </header>
      {props.sample === undefined && series.length === 0 ? (
        <p className="ng-blank" style={{ height: props.height + 24 }}>
          Waiting for figures…
        </p>
      ) : (
        <TimeChart
          timeline={timeline}
          series={series}
          unit={props.panel.unit}
          span={props.span}
          height={props.height}
          title={`${props.panel.title}: ${props.panel.about}`}
          isStacked={props.panel.isStacked ?? false}
          {...(props.panel.floor === undefined ? {} : { floor: props.panel.floor })}
        />
      )}
    </section>
  );
}

/** Processor time, stacked by mode. */
export const CpuUsageChart = chart<CpuMetrics>("cpu", (cpu) => ({ cpu }));
/** Each core by itself. */
export const CpuCoresChart = chart<CpuMetrics>("cores", (cpu) => ({ cpu }));
/** Memory, stacked by what it holds. */
export const MemoryUsageChart = chart<MemoryMetrics>("memory", (memory) => ({ memory }));
/** How full each file system is. */
export const DiskUsageChart = chart<DiskMetrics[]>("disk-space", (disks) => ({ disks }));
/** What disks read and write. */
export const DiskThroughputChart = chart<DiskMetrics[]>("disk-throughput", (disks) => ({ disks }));
/** What the network takes and gives. */
export const NetworkUsageChart = chart<NetworkMetrics[]>("network", (interfaces) => ({ network_interfaces: interfaces }));
/** The load averages. */
export const LoadChart = chart<NonNullable<MetricsSnapshot["load"]>>("load", (load) => ({ load }));
