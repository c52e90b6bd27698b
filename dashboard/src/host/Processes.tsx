/** Who used the host: the busiest processes at the cursor's moment, at a chosen one, or now. */

import type { Process } from "@nodeglass/client";
import { type Cursor, ago, exact, moment, show, useMetricsStream, useProcesses, words } from "@nodeglass/react";
import { useEffect, useMemo, useState } from "react";
import { unpin } from "./moves.ts";

/** The cursor rests for so long before the server is asked who was there. */
const REST_MS = 90;
/** Processes in the table. */
const SHOWN = 20;
/** Processes are kept as often as samples: a moment is asked for by the second. */
const STEP_MS = 1_000;

type Column = "cpu_percent" | "memory_bytes" | "io";

const amount: Record<Column, (process: Process) => number> = {
  cpu_percent: (process) => process.cpu_percent ?? -1,
  memory_bytes: (process) => process.memory_bytes ?? -1,
  io: (process) => (process.read_bytes_per_sec ?? 0) + (process.write_bytes_per_sec ?? 0),
};

/** The moment that the cursor rests at. */
function useRested(cursor: Cursor): number | undefined {
  const [at, setAt] = useState<number>();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const forget = cursor.subscribe((moved) => {
      clearTimeout(timer);
      timer = setTimeout(() => setAt(moved === null ? undefined : Math.floor(moved / STEP_MS) * STEP_MS), REST_MS);
    });
    return () => {
      clearTimeout(timer);
      forget();
    };
  }, [cursor]);
  return at;
}

/** See the file. */
export function Processes(props: { agentId: string; cursor: Cursor; pinned: number | undefined; isLive: boolean; end: number; utc: boolean }) {
  const { agentId, cursor, pinned, isLive, utc } = props;
  const rested = useRested(cursor);
  const [sort, setSort] = useState<Column>("cpu_percent");
  const asked = rested ?? pinned ?? (isLive ? undefined : props.end);
  const live = useMetricsStream(agentId, { enabled: isLive });
  const past = useProcesses(agentId, asked ?? "now", { enabled: asked !== undefined });
  const isNow = asked === undefined;
  // Until the first answer about a moment is there, what was shown stands, paler.
  const isAsking = !isNow && !past.data && !past.error;
  const processes = isNow || isAsking ? live.sample?.processes?.top : past.data?.processes;
  const at = isNow ? live.sample?.timestamp : (past.data?.timestamp ?? undefined);
  const rows = useMemo(
    () => [...(processes ?? [])].sort((one, other) => amount[sort](other) - amount[sort](one) || one.pid - other.pid).slice(0, SHOWN),
    [processes, sort],
  );
  const most = Math.max(1, ...rows.map(amount[sort]));
  return (
    <section className="ng-panel processes" aria-label="Processes">
      <header>
        <h2>Processes</h2>
        <p className={isNow ? "when" : "when then"}>
          {isAsking ? "asking…" : at === undefined ? "" : isNow ? "now" : moment(at, utc, Math.abs(Date.now() - at) > 12 * 3_600_000)}
          {!isNow && at !== undefined && <small> {ago(at, Date.now())}</small>}
        </p>
        {pinned !== undefined && (
          <button type="button" className="quiet small" onClick={unpin}>
            Unpin
          </button>
        )}
      </header>
      <table aria-busy={past.isFetching} className={isAsking ? "stale" : undefined}>
        <thead>
          <tr>
            <th scope="col">Process</th>
            <Head column="cpu_percent" sort={sort} onSort={setSort}>
              CPU
            </Head>
            <Head column="memory_bytes" sort={sort} onSort={setSort}>
              Memory
            </Head>
            <Head column="io" sort={sort} onSort={setSort}>
              Disk I/O
            </Head>
          </tr>
        </thead>
        <tbody>
          {rows.map((process) => (
            <tr key={`${process.pid} ${process.start_time ?? 0}`} title={process.command ?? process.name}>
              <th scope="row">
                <i className="share" style={{ transform: `scaleX(${Math.max(0, amount[sort](process)) / most})` }} />
                <b>{process.name}</b>{" "}
                <small>
                  {process.pid} · {process.container || process.user}
                </small>
              </th>
              <td title={exact(process.cpu_percent, "% of a core")}>{show(process.cpu_percent, "% of a core")}</td>
              <td title={exact(process.memory_bytes, "bytes")}>{show(process.memory_bytes, "bytes")}</td>
              <td>{show(io(process), "bytes/s")}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && (
        <p className="ng-blank">
          {past.error && !isNow ? words(past.error) : processes ? "Nothing was read about then" : "Waiting for the first sample…"}
        </p>
      )}
      <footer>{isNow ? "Point at a chart to see who it was; click to keep that moment." : pinned !== undefined ? "Kept at this moment." : "At the cursor. Click a chart to keep it."}</footer>
    </section>
  );
}

function io(process: Process): number | undefined {
  const { read_bytes_per_sec: read, write_bytes_per_sec: write } = process;
  return read === undefined && write === undefined ? undefined : (read ?? 0) + (write ?? 0);
}

function Head(props: { column: Column; sort: Column; onSort: (column: Column) => void; children: string }) {
  return (
    <th scope="col" aria-sort={props.sort === props.column ? "descending" : "none"}>
      <button type="button" onClick={() => props.onSort(props.column)}>
        {props.children}
      </button>
    </th>
  );
}
