/** A host's figures of now, large. */

import { valueOf } from "@nodeglass/client";
import { type ShownUnit, exact, show, useMetricsStream } from "@nodeglass/react";
import { healthOf } from "../fleet/health.ts";
import type { Figure } from "../fleet/store.ts";

interface Tile {
  name: string;
  series: string;
  unit: ShownUnit;
  /** Limits are those of the fleet's figure. */
  figure?: Figure;
  /** Below it, smaller. */
  more?: readonly [name: string, series: string, unit: ShownUnit][];
}

const TILES: readonly Tile[] = [
  { name: "CPU", series: "cpu.usage_percent", unit: "%", figure: "cpu", more: [["iowait", "cpu.iowait_percent", "%"]] },
  {
    name: "Memory",
    series: "memory.usage_percent",
    unit: "%",
    figure: "memory",
    more: [
      ["", "memory.used_bytes", "bytes"],
      ["of", "memory.total_bytes", "bytes"],
    ],
  },
  { name: "Fullest disk", series: "disk.usage_percent", unit: "%", figure: "disk", more: [["busy", "disk.io_util_percent", "%"]] },
  {
    name: "Disk I/O",
    series: "disk.read_bytes_per_sec",
    unit: "bytes/s",
    more: [["written", "disk.write_bytes_per_sec", "bytes/s"]],
  },
  {
    name: "Network in",
    series: "network.bytes_recv_per_sec",
    unit: "bit/s",
    more: [["out", "network.bytes_sent_per_sec", "bit/s"]],
  },
  {
    name: "Load",
    series: "load.load1",
    unit: "tasks",
    more: [
      ["5 min", "load.load5", "tasks"],
      ["15 min", "load.load15", "tasks"],
    ],
  },
];

/** See the file. */
export function Summary({ agentId }: { agentId: string }) {
  const { sample } = useMetricsStream(agentId);
  return (
    <ul className="summary" aria-label="Now" data-timestamp={sample?.timestamp}>
      {TILES.map(({ name, series, unit, figure, more = [] }) => {
        const value = sample && valueOf(sample, series);
        const health = figure ? healthOf(figure, value) : "ok";
        return (
          <li key={name}>
            <span className="label">{name}</span>
            <b className={health} title={exact(value, unit)} data-series={series} data-value={value ?? ""}>
              {show(value, unit)}
            </b>
            <small>
              {more.map(([word, path, its]) => {
                const found = sample && valueOf(sample, path);
                return (
                  <span key={path} title={exact(found, its)}>
                    {word} {show(found, its)}{" "}
                  </span>
                );
              })}
            </small>
          </li>
        );
      })}
    </ul>
  );
}
