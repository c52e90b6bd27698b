/** The panels of a host: which series each shows, in which unit, order and colour. */

import { splitSeries } from "@nodeglass/client";
import type { ChartSeries } from "./chart/TimeChart.tsx";
import { COLOURS, colour } from "./chart/paint.ts";
import type { ShownUnit } from "./units.ts";

/** A panel. */
export interface Panel {
  id: string;
  title: string;
  unit: ShownUnit;
  /** What is asked for: `metric`, `metric@device`, `metric@*`. */
  metrics: readonly string[];
  /** What is drawn of the series that there are; of more than can be told apart, those whose `size` is largest. */
  series: (keys: readonly string[], size?: Size) => Drawn;
  isStacked?: boolean;
  /** The axis goes at least this far. */
  floor?: number;
  /** So many series at most are lines; more are rows of colour. */
  mostLines?: number;
  /** Shown only where the host has such figures. */
  isOptional?: boolean;
  /** What it means, in a sentence. */
  about: string;
}

/** How large a series is, for the choice between many. */
export type Size = (key: string) => number;

/** What a panel draws. */
export interface Drawn {
  series: ChartSeries[];
  /** How many more devices there are, whose series are not drawn. */
  leftOut: number;
}

/** More lines than there are colours can't be told apart. */
export const MOST_SERIES = COLOURS;

const names = new Intl.Collator("en", { numeric: true });

/** So many of the names at most: the largest, in the order of their names. */
export function largest(all: readonly string[], most: number, size: Size): string[] {
  const sorted = [...all].sort(names.compare);
  if (sorted.length <= most) return sorted;
  return sorted
    .map((name) => ({ name, size: size(name) }))
    .sort((one, other) => other.size - one.size)
    .slice(0, most)
    .map(({ name }) => name)
    .sort(names.compare);
}

/** A row of colour needs a pixel. */
const MOST_CORES = 512;

/** Fixed series with labels and colours. */
function fixed(...all: [key: string, label: string, colour: string, more?: Partial<ChartSeries>][]) {
  return (keys: readonly string[]): Drawn => ({
    series: all.filter(([key]) => keys.includes(key)).map(([key, label, tone, more]) => ({ key, label, colour: tone, ...more })),
    leftOut: 0,
  });
}

/** A series for each device, by name; `name` makes its label. */
function perDevice(name: (device: string, path: string) => string = (device) => device, most = MOST_SERIES) {
  return (keys: readonly string[], size: Size = () => 0): Drawn => {
    const series = largest(keys, most, size).map((key, at) => {
      const [path, device = ""] = splitSeries(key);
      return { key, label: name(device, path), colour: colour(at) };
    });
    return { series, leftOut: keys.length - series.length };
  };
}

/** In above the axis, out below it, for each device. */
function inAndOut(into: string, out: string, names: [string, string], skip: (device: string) => boolean = () => false) {
  return (keys: readonly string[], size: Size = () => 0): Drawn => {
    const devices = [...new Set(keys.map((key) => splitSeries(key)[1] ?? ""))].filter((device) => !skip(device));
    const shown = largest(devices, MOST_SERIES / 2, (device) => size(`${into}@${device}`) + size(`${out}@${device}`));
    const pair = (path: string, device: string, index: number, mirrored: boolean): ChartSeries => ({
      key: `${path}@${device}`,
      label: devices.length > 1 ? `${device} ${names[mirrored ? 1 : 0]}` : (names[mirrored ? 1 : 0] ?? ""),
      colour: colour(index * 2 + (mirrored ? 1 : 0)),
      filled: true,
      mirrored,
    });
    const series = shown
      .flatMap((device, at) => [pair(into, device, at, false), pair(out, device, at, true)])
      .filter((one) => keys.includes(one.key));
    return { series, leftOut: devices.length - shown.length };
  };
}

const QUIET_INTERFACE = /^(lo|ifb\d*|dummy\d*|veth.*|docker0|br-.*|virbr.*)$/;

/** The network without what is inside the host, unless there is nothing else. */
function interfaces(into: string, out: string, names: [string, string]) {
  const shown = inAndOut(into, out, names, (device) => QUIET_INTERFACE.test(device));
  const all = inAndOut(into, out, names);
  return (keys: readonly string[], size?: Size): Drawn => {
    const outside = shown(keys, size);
    return outside.series.length > 0 ? outside : all(keys, size);
  };
}

/** Every panel of a host, in the order of its page. */
export const PANELS: readonly Panel[] = [
  {
    id: "cpu",
    title: "CPU",
    unit: "%",
    floor: 100,
    isStacked: true,
    about: "Processor time of all cores, by what it was spent on.",
    metrics: ["cpu.user_percent", "cpu.system_percent", "cpu.iowait_percent", "cpu.irq_percent", "cpu.softirq_percent", "cpu.steal_percent"],
    series: fixed(
      ["cpu.user_percent", "user", "--ng-series-1"],
      ["cpu.system_percent", "system", "--ng-series-2"],
      ["cpu.iowait_percent", "iowait", "--ng-series-3"],
      ["cpu.irq_percent", "irq", "--ng-series-5"],
      ["cpu.softirq_percent", "softirq", "--ng-series-6"],
      ["cpu.steal_percent", "steal", "--ng-series-4"],
    ),
  },
  {
    id: "cores",
    title: "Cores",
    unit: "%",
    floor: 100,
    about: "Each core by itself.",
    metrics: ["cpu.core_usage@*"],
    series: perDevice((core) => `core ${core}`, MOST_CORES),
    mostLines: 8,
  },
  {
    id: "memory",
    title: "Memory",
    unit: "bytes",
    isStacked: true,
    about: "Memory by what it holds. Cache is given back when programs need it.",
    metrics: ["memory.used_bytes", "memory.cached_bytes", "memory.buffers_bytes", "memory.free_bytes"],
    series: fixed(
      ["memory.used_bytes", "used", "--ng-series-1"],
      ["memory.cached_bytes", "cache", "--ng-series-7"],
      ["memory.buffers_bytes", "buffers", "--ng-series-8"],
      ["memory.free_bytes", "free", "--ng-series-free"],
    ),
  },
  {
    id: "pressure",
    title: "Pressure",
    unit: "%",
    floor: 10,
    isOptional: true,
    about: "Share of time in which tasks waited for a processor, memory or I/O.",
    metrics: ["pressure.cpu_some_percent", "pressure.memory_some_percent", "pressure.io_some_percent", "pressure.io_full_percent"],
    series: fixed(
      ["pressure.cpu_some_percent", "CPU", "--ng-series-1"],
      ["pressure.memory_some_percent", "memory", "--ng-series-7"],
      ["pressure.io_some_percent", "I/O some", "--ng-series-3"],
      ["pressure.io_full_percent", "I/O full", "--ng-series-4"],
    ),
  },
  {
    id: "load",
    title: "Load",
    unit: "tasks",
    about: "Tasks that run, want to, or wait for a disk, averaged over 1, 5 and 15 minutes.",
    metrics: ["load.load1", "load.load5", "load.load15"],
    series: fixed(
      ["load.load1", "1 min", "--ng-series-1"],
      ["load.load5", "5 min", "--ng-series-2"],
      ["load.load15", "15 min", "--ng-series-3"],
    ),
  },
  {
    id: "network",
    title: "Network",
    unit: "bit/s",
    about: "What came in, above the line, and what went out, below it.",
    metrics: ["network.bytes_recv_per_sec@*", "network.bytes_sent_per_sec@*"],
    series: interfaces("network.bytes_recv_per_sec", "network.bytes_sent_per_sec", ["in", "out"]),
  },
  {
    id: "disk-throughput",
    title: "Disk throughput",
    unit: "bytes/s",
    about: "What was read, above the line, and what was written, below it.",
    metrics: ["disk.read_bytes_per_sec@*", "disk.write_bytes_per_sec@*"],
    series: inAndOut("disk.read_bytes_per_sec", "disk.write_bytes_per_sec", ["read", "write"]),
  },
  {
    id: "disk-operations",
    title: "Disk operations",
    unit: "1/s",
    about: "Reads, above the line, and writes, below it.",
    metrics: ["disk.read_ops_per_sec@*", "disk.write_ops_per_sec@*"],
    series: inAndOut("disk.read_ops_per_sec", "disk.write_ops_per_sec", ["reads", "writes"]),
  },
  {
    id: "disk-utilisation",
    title: "Disk utilisation",
    unit: "%",
    floor: 100,
    about: "Share of time in which a disk had something to do.",
    metrics: ["disk.io_util_percent@*"],
    series: perDevice(),
  },
  {
    id: "disk-space",
    title: "Disk space",
    unit: "%",
    floor: 100,
    about: "How full each file system is.",
    metrics: ["disk.usage_percent@*"],
    series: perDevice(),
  },
  {
    id: "swap",
    title: "Swap",
    unit: "bytes",
    isOptional: true,
    about: "Swap in use.",
    metrics: ["memory.swap_used_bytes"],
    series: fixed(["memory.swap_used_bytes", "used", "--ng-series-4", { filled: true }]),
  },
  {
    id: "tcp",
    title: "TCP connections",
    unit: "count",
    isOptional: true,
    about: "Open connections, and closed ones that wait for stray segments.",
    metrics: ["tcp.established_connections", "tcp.time_wait_sockets"],
    series: fixed(
      ["tcp.established_connections", "established", "--ng-series-1"],
      ["tcp.time_wait_sockets", "time-wait", "--ng-series-3"],
    ),
  },
  {
    id: "temperature",
    title: "Temperatures",
    unit: "°C",
    isOptional: true,
    about: "Each sensor by itself.",
    metrics: ["sensor.temperature_celsius@*"],
    series: perDevice(),
  },
  {
    id: "gpu",
    title: "GPU",
    unit: "%",
    floor: 100,
    isOptional: true,
    about: "Use of each GPU and of its memory.",
    metrics: ["gpu.utilization_percent@*", "gpu.memory_usage_percent@*"],
    series: perDevice((gpu, path) => `${gpu} ${path.includes("memory") ? "memory" : "use"}`),
  },
  {
    id: "gpu-power",
    title: "GPU power",
    unit: "W",
    isOptional: true,
    about: "What each GPU draws.",
    metrics: ["gpu.power_watts@*"],
    series: perDevice((gpu) => `GPU ${gpu}`),
  },
  {
    id: "container-cpu",
    title: "Containers: CPU",
    unit: "% of a core",
    isOptional: true,
    about: "Processor time of each container, in percent of one core.",
    metrics: ["container.cpu_percent@*"],
    series: perDevice(),
  },
  {
    id: "container-memory",
    title: "Containers: memory",
    unit: "bytes",
    isOptional: true,
    about: "Memory of each container, without cache that can be dropped.",
    metrics: ["container.memory_bytes@*"],
    series: perDevice(),
  },
];

/** The panel with this id. */
export function panel(id: string): Panel {
  const found = PANELS.find((one) => one.id === id);
  if (!found) throw new Error(`there is no panel ${id}`);
  return found;
}
