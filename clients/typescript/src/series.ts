/** One series out of a sample: what `cpu.core_usage@3`, `disk.used_bytes@/home` or `network.bytes_recv_per_sec` is in it. */

import { METRICS, type Metric } from "./catalogue.ts";
import type { MetricsSnapshot } from "./types.ts";

type Device = Record<string, unknown>;

/** Where the devices of a kind stand in a sample, and what names them. */
const DEVICES: Record<string, { list: string; label: (device: Device) => unknown }> = {
  "mount point": { list: "disks", label: (disk) => disk.mount_point },
  disk: { list: "disks", label: (disk) => String(disk.device ?? "").replace(/^\/dev\//, "") },
  interface: { list: "network_interfaces", label: (one) => one.interface },
  gpu: { list: "gpus", label: (gpu) => (gpu.mig_instance === undefined ? gpu.index : `${gpu.index}/${gpu.mig_instance}`) },
  sensor: { list: "temperatures", label: (one) => one.sensor },
  fan: { list: "fans", label: (one) => one.sensor },
  meter: { list: "power_meters", label: (one) => one.meter },
  battery: { list: "batteries", label: (one) => one.battery },
  unit: { list: "units", label: (one) => one.unit },
  container: { list: "containers", label: (one) => one.name },
  collector: { list: "collectors", label: (one) => one.collector },
};

let byPath: Map<string, Metric> | undefined;

/** The metric with this path. */
export function metricOf(path: string): Metric | undefined {
  byPath ??= new Map(METRICS.map((metric) => [metric.path, metric]));
  return byPath.get(path);
}

/** Takes `metric@device` apart. */
export function splitSeries(series: string): [path: string, device: string | undefined] {
  const at = series.indexOf("@");
  return at < 0 ? [series, undefined] : [series.slice(0, at), series.slice(at + 1)];
}

/** The value of a series in a sample: of the host, of one device, or the total over devices. */
export function valueOf(sample: MetricsSnapshot, series: string): number | undefined {
  const [path, device] = splitSeries(series);
  const metric = metricOf(path);
  if (!metric?.device) {
    const [section, field] = parts(path);
    const found = (sample as Device)[section];
    return found && typeof found === "object" ? number((found as Device)[field]) : undefined;
  }
  const all = entries(sample, metric);
  if (device !== undefined) {
    const found = all.find(([label]) => label === device);
    return found && number(found[1]);
  }
  // A part of another device is not counted beside it.
  const counted = metric.total === "sum" ? all.filter(([, , isPart]) => !isPart) : all;
  const values = counted.map(([, value]) => number(value)).filter((value) => value !== undefined);
  if (values.length === 0) return undefined;
  if (metric.total === "max") return Math.max(...values);
  const sum = values.reduce((one, other) => one + other, 0);
  return metric.total === "mean" ? sum / values.length : sum;
}

/** The devices that have this metric in a sample. */
export function devicesOf(sample: MetricsSnapshot, path: string): string[] {
  const metric = metricOf(path);
  if (!metric) return [];
  const labels = entries(sample, metric).filter(([, value]) => number(value) !== undefined);
  return [...new Set(labels.map(([label]) => label))];
}

/** Each device's label, its value, and whether it is a part of another. */
function entries(sample: MetricsSnapshot, metric: Metric): [string, unknown, boolean][] {
  const [, field] = parts(metric.path);
  if (metric.device === "core") {
    const name = field === "core_frequency_mhz" ? "frequency_mhz" : `${field.slice("core_".length)}_percent`;
    return (sample.cpu?.cores ?? []).map((core) => [String(core.core), (core as Device)[name], false]);
  }
  const kind = DEVICES[metric.device ?? ""];
  const found = kind && (sample as Device)[kind.list];
  if (!kind || !Array.isArray(found)) return [];
  const named: [string, unknown, boolean][] = [];
  for (const device of found as Device[]) {
    const label = kind.label(device);
    if (label === undefined || label === null || label === "") continue;
    named.push([String(label), device[field], Boolean(device.parent) || device.mig_instance !== undefined]);
  }
  return named;
}

function parts(path: string): [section: string, field: string] {
  const dot = path.indexOf(".");
  return [path.slice(0, dot), path.slice(dot + 1)];
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
