/** The fleet as a table, of which only what is seen is drawn. */

import { ago, exact, show } from "@nodeglass/react";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from "react";
import { Link, go, hostPath } from "../shell/route.tsx";
import { type Arrangement, type Row, SORTS, type Sort } from "./arrange.ts";
import { Meter, Spark } from "./Spark.tsx";
import { healthOf } from "./health.ts";
import type { Host } from "./store.ts";
import { Why } from "./Why.tsx";

const ROW_PX = 46;
/** On a narrow screen the figures stand below the name. */
const NARROW_ROW_PX = 66;
const HEADING_PX = 38;
/** As the style sheet has it. */
const narrow = matchMedia("(max-width: 860px)");

function useNarrow(): boolean {
  return useSyncExternalStore(
    (changed) => {
      narrow.addEventListener("change", changed);
      return () => narrow.removeEventListener("change", changed);
    },
    () => narrow.matches,
  );
}

const COLUMNS: readonly [name: string, sort: Sort, className: string][] = [
  ["Host", "name", "name"],
  ["CPU", "cpu", "cpu"],
  ["Memory", "memory", "memory"],
  ["Disk", "disk", "disk"],
  ["Network", "network", "network"],
  ["Load", "load", "load"],
  ["GPU", "gpu", "gpu"],
  ["Seen", "updated", "seen"],
];

/** See the file. */
export function FleetTable(props: {
  rows: readonly Row[];
  version: number;
  theme: string;
  wish: Arrangement;
  onSort: (sort: Sort) => void;
}) {
  const { rows, version, theme, wish } = props;
  const list = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  // What stands above may grow: where the rows begin is looked up whenever they are drawn, unless they were only scrolled.
  useLayoutEffect(() => setTop(Math.round((list.current?.getBoundingClientRect().top ?? 0) + scrollY)), [props]);
  const rowPx = useNarrow() ? NARROW_ROW_PX : ROW_PX;
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: (index) => (rows[index] && "heading" in rows[index] ? HEADING_PX : rowPx),
    getItemKey: (index) => {
      const row = rows[index];
      return row === undefined ? index : "heading" in row ? `# ${row.heading}` : row.host.id;
    },
    overscan: 6,
    scrollMargin: top,
  });
  useEffect(() => virtual.measure(), [virtual, rowPx]);
  const hasGpu = rows.some((row) => "host" in row && row.host.figures.gpu !== undefined);
  const now = Math.floor(Date.now() / 1_000) * 1_000;
  return (
    <div className={hasGpu ? "table" : "table no-gpu"} role="table" aria-label="Hosts" aria-rowcount={rows.length + 1}>
      <div role="rowgroup">
        <div className="row head" role="row">
          {COLUMNS.map(([name, sort, className]) => (
            <div
              key={name}
              role="columnheader"
              className={className}
              aria-sort={wish.sort === sort ? (wish.isTurned === (sort === "name") ? "descending" : "ascending") : "none"}
            >
              <button type="button" onClick={() => props.onSort(sort)} title={`Sort by ${SORTS[sort].toLowerCase()}`}>
                {name}
                {wish.sort === sort && <span aria-hidden="true">{wish.isTurned ? " ↑" : " ↓"}</span>}
              </button>
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" ref={list} className="rows" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index];
          if (!row) return null;
          return "heading" in row ? (
            <div key={item.key} className="row heading" role="row" style={placed(item.start - top, item.size)} aria-rowindex={item.index + 2}>
              <div role="cell">
                {row.heading} <small>{row.count}</small>
              </div>
            </div>
          ) : (
            <HostRow key={item.key} host={row.host} index={item.index} version={version} theme={theme} start={item.start - top} height={item.size} now={now} />
          );
        })}
      </div>
    </div>
  );
}

function placed(start: number, height: number) {
  return { transform: `translateY(${start}px)`, height };
}

/** All of it by value: a list that is scrolled draws those rows that come, and no others. */
const HostRow = memo(function HostRow(props: {
  host: Host;
  index: number;
  version: number;
  theme: string;
  start: number;
  height: number;
  /** In whole seconds. */
  now: number;
}) {
  const { host, version, theme, start, height, now } = props;
  const { figures: f, rings } = host;
  const cpu = healthOf("cpu", f.cpu);
  const memory = healthOf("memory", f.memory);
  const disk = healthOf("disk", f.disk);
  return (
    // Where the name's link does not reach, above figures that say more on hover, a click goes the same way.
    <div
      className={`row ${host.health}`}
      role="row"
      style={placed(start, height)}
      aria-rowindex={props.index + 2}
      onClick={(event) => !(event.target as Element).closest("a") && go(hostPath(host.id))}
    >
      <div role="cell" className="name">
        <i className={`dot ${host.health}`} />
        <Link to={hostPath(host.id)}>{host.id}</Link>
        <span className="ng-sr">{host.health}</span>
        <Why troubles={host.troubles} />
        {Object.entries(host.labels)
          .slice(0, 3)
          .map(([name, value]) => (
            <span key={name} className="tag">
              {name}={value}
            </span>
          ))}
      </div>
      <div role="cell" className="cpu">
        <Spark ring={rings.cpu} version={version} theme={theme} width={84} height={26} top={100} tone={tone(cpu)} />
        <b className={cpu} title={exact(f.cpu, "%")}>
          {show(f.cpu, "%")}
        </b>
      </div>
      <div role="cell" className="memory">
        <Spark ring={rings.memory} version={version} theme={theme} width={84} height={26} top={100} tone={tone(memory)} />
        <b className={memory} title={exact(f.memory, "%")}>
          {show(f.memory, "%")}
        </b>
      </div>
      <div role="cell" className="disk">
        <span className="stack" title={`read ${exact(f.read, "bytes/s")}, written ${exact(f.write, "bytes/s")}`}>
          <Meter value={f.disk} health={disk} />
          <Spark ring={rings.io} version={version} theme={theme} width={84} height={18} />
        </span>
        <b className={disk} title={exact(f.disk, "%")}>
          {show(f.disk, "%")}
        </b>
      </div>
      <div role="cell" className="network">
        <Spark ring={rings.network} version={version} theme={theme} width={64} height={26} />
        <span className="pair">
          <span title={exact(f.received, "bit/s")}>↓ {show(f.received, "bit/s")}</span>
          <span title={exact(f.sent, "bit/s")}>↑ {show(f.sent, "bit/s")}</span>
        </span>
      </div>
      <div role="cell" className="load">
        <Spark ring={rings.load} version={version} theme={theme} width={44} height={26} />
        <span title={exact(f.load, "tasks")}>{show(f.load, "tasks")}</span>
      </div>
      <div role="cell" className="gpu">
        {f.gpu !== undefined && (
          <>
            <Spark ring={rings.gpu} version={version} theme={theme} width={44} height={26} top={100} />
            <span title={exact(f.gpu, "%")}>{show(f.gpu, "%")}</span>
          </>
        )}
      </div>
      <div role="cell" className="seen">
        {host.isConnected ? "now" : ago(host.updated, now)}
      </div>
    </div>
  );
});

function tone(health: string): string {
  return health === "ok" ? "--spark" : `--${health}`;
}
