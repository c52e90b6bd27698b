/** The fleet as tiles: one for each host, with its processors' last minute behind the figure. */

import { ago, show } from "@nodeglass/react";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Link, hostPath } from "../shell/route.tsx";
import type { Row } from "./arrange.ts";
import { Meter, Spark } from "./Spark.tsx";
import { type Host, healthOf } from "./store.ts";

const TILE_PX = 190;
const ROW_PX = 128;
const HEADING_PX = 38;
const GAP_PX = 10;

type Line = { heading: string; count: number } | { hosts: Host[] };

/** Rows of as many tiles as fit beside each other. */
function lines(rows: readonly Row[], columns: number): Line[] {
  const out: Line[] = [];
  for (const row of rows) {
    if ("heading" in row) {
      out.push(row);
      continue;
    }
    const last = out.at(-1);
    if (last && "hosts" in last && last.hosts.length < columns) last.hosts.push(row.host);
    else out.push({ hosts: [row.host] });
  }
  return out;
}

/** See the file. */
export function FleetTiles({ rows, version, theme }: { rows: readonly Row[]; version: number; theme: string }) {
  const list = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [width, setWidth] = useState(1200);
  // What stands above may grow: where the tiles begin is looked up whenever they are drawn.
  useLayoutEffect(() => setTop(Math.round((list.current?.getBoundingClientRect().top ?? 0) + scrollY)));
  useEffect(() => {
    const sizes = new ResizeObserver(([entry]) => entry && setWidth(entry.contentRect.width));
    if (list.current) sizes.observe(list.current);
    return () => sizes.disconnect();
  }, []);
  const columns = Math.max(1, Math.floor((width + GAP_PX) / (TILE_PX + GAP_PX)));
  const all = useMemo(() => lines(rows, columns), [rows, columns]);
  const virtual = useWindowVirtualizer({
    count: all.length,
    estimateSize: (index) => (all[index] && "heading" in all[index] ? HEADING_PX : ROW_PX + GAP_PX),
    overscan: 2,
    scrollMargin: top,
  });
  const tile = Math.floor((width - GAP_PX * (columns - 1)) / columns);
  return (
    <div ref={list} className="tiles" style={{ height: virtual.getTotalSize() }}>
      {virtual.getVirtualItems().map((item) => {
        const line = all[item.index];
        if (!line) return null;
        const style = { transform: `translateY(${item.start - top}px)` };
        return "heading" in line ? (
          <h2 key={item.key} style={style}>
            {line.heading} <small>{line.count}</small>
          </h2>
        ) : (
          <div key={item.key} className="tile-row" style={{ ...style, gridTemplateColumns: `repeat(${columns}, 1fr)`, gap: GAP_PX }}>
            {line.hosts.map((host) => (
              <Tile key={host.id} host={host} version={version} theme={theme} width={tile} />
            ))}
          </div>
        );
      })}
    </div>
  );
}

function Tile({ host, version, theme, width }: { host: Host; version: number; theme: string; width: number }) {
  const { figures: f } = host;
  const cpu = healthOf("cpu", f.cpu);
  return (
    <Link to={hostPath(host.id)} className={`tile ${host.health}`} style={{ height: ROW_PX }}>
      <span className="title">
        <i className={`dot ${host.health}`} />
        <strong>{host.id}</strong>
      </span>
      <span className="figure">
        <b className={cpu}>{host.isConnected ? show(f.cpu, "%") : "lost"}</b>
        <small>{host.isConnected ? "CPU" : ago(host.updated, Date.now())}</small>
      </span>
      <Spark ring={host.rings.cpu} version={version} theme={theme} width={width - 2} height={42} top={100} tone={cpu === "ok" ? "--spark" : `--${cpu}`} />
      <span className="meters">
        <Meter value={f.memory} health={healthOf("memory", f.memory)} />
        <Meter value={f.disk} health={healthOf("disk", f.disk)} />
        <span>mem {show(f.memory, "%")}</span>
        <span>disk {show(f.disk, "%")}</span>
      </span>
    </Link>
  );
}
