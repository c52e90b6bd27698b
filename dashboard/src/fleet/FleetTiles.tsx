/** The fleet as tiles: one for each host, with its processors' last minute large, and that of everything else small. */

import { ago, exact, show } from "@nodeglass/react";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Link, hostPath } from "../shell/route.tsx";
import type { Row } from "./arrange.ts";
import { Spark } from "./Spark.tsx";
import { type Health, healthOf } from "./health.ts";
import type { Host, Ring } from "./store.ts";
import { Why } from "./Why.tsx";

const TILE_PX = 190;
const ROW_PX = 180;
const HEADING_PX = 38;
const GAP_PX = 10;
/** What small charts of a tile leave free beside and between them. */
const INSET_PX = 38;

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
  const traffic = f.received === undefined && f.sent === undefined ? undefined : (f.received ?? 0) + (f.sent ?? 0);
  const drawn = { version, theme, width: Math.floor((width - INSET_PX) / 2) };
  return (
    <Link to={hostPath(host.id)} className={`tile ${host.health}`} style={{ height: ROW_PX }}>
      <span className="title">
        <i className={`dot ${host.health}`} />
        <strong>{host.id}</strong>
        <Why troubles={host.troubles} />
      </span>
      <span className="figure">
        <b className={cpu}>{host.isConnected ? show(f.cpu, "%") : "lost"}</b>
        <small>{host.isConnected ? "CPU" : ago(host.updated, Date.now())}</small>
      </span>
      <Spark ring={host.rings.cpu} version={version} theme={theme} width={width - 2} height={42} top={100} tone={cpu === "ok" ? "--spark" : `--${cpu}`} />
      <span className="smalls">
        <Small name="mem" text={show(f.memory, "%")} title={exact(f.memory, "%")} health={healthOf("memory", f.memory)} ring={host.rings.memory} top={100} {...drawn} />
        <Small name="disk" text={show(f.disk, "%")} title={exact(f.disk, "%")} health={healthOf("disk", f.disk)} ring={host.rings.io} {...drawn} />
        <Small name="net" text={show(traffic, "bit/s")} title={`in ${exact(f.received, "bit/s")}, out ${exact(f.sent, "bit/s")}`} ring={host.rings.network} {...drawn} />
        {f.gpu === undefined ? (
          <Small name="load" text={show(f.load, "tasks")} title={exact(f.load, "tasks")} ring={host.rings.load} {...drawn} />
        ) : (
          <Small name="GPU" text={show(f.gpu, "%")} title={`${exact(f.gpu, "%")}; load ${exact(f.load, "tasks")}`} ring={host.rings.gpu} top={100} {...drawn} />
        )}
      </span>
    </Link>
  );
}

/** A figure with its last minute. Of a disk the line is what is read and written, the figure how full it is. */
function Small(props: { name: string; text: string; title: string; health?: Health; ring: Ring; version: number; theme: string; width: number; top?: number }) {
  const { name, text, title, health = "ok", ring, version, theme, width, top } = props;
  return (
    <span className="small-chart" title={title}>
      <Spark ring={ring} version={version} theme={theme} width={width} height={18} tone={health === "ok" ? "--spark" : `--${health}`} {...(top === undefined ? {} : { top })} />
      <span>
        {name} <b className={health}>{text}</b>
      </span>
    </span>
  );
}
