/** One host: what it does now, what it did, who used it, and what it is. */

import { ApiError } from "@nodeglass/client";
import { ChartViewProvider, Cursor, PANELS, SystemInfoCard, TimePanel, ago, bounds, duration, useLate, useMetricsStream, useSystemInfo, words } from "@nodeglass/react";
import { useEffect, useMemo } from "react";
import { Link, useRoute } from "../shell/route.tsx";
import { useSettings } from "../shell/settings.ts";
import { useNow } from "../shell/useNow.ts";
import { LedgerCard } from "./LedgerCard.tsx";
import { Processes } from "./Processes.tsx";
import { Summary } from "./Summary.tsx";
import { Tasks } from "./Tasks.tsx";
import { TimeBar } from "./TimeBar.tsx";
import { pin, showSpan, unpin } from "./moves.ts";
import { readSpan } from "./span.ts";

/** A host that was silent for so long is not live. */
const SILENT_MS = 15_000;

/** See the file. */
export function HostPage({ agentId }: { agentId: string }) {
  const { query } = useRoute();
  const { utc, shown: theme } = useSettings();
  const { span, name, last } = readSpan(query);
  const isLive = "last" in span;
  const pinned = Number(query.get("at")) || undefined;
  const cursor = useMemo(() => new Cursor(), []);
  const late = useLate(agentId, span);
  const view = useMemo(
    () => ({
      group: `host ${agentId}`,
      cursor,
      utc,
      theme,
      late,
      onZoom: (from: number, to: number) => showSpan(from, to),
      pinned,
      onPick: (at: number) => pin(at, readSpan(new URLSearchParams(location.search)).span),
      onLetGo: unpin,
    }),
    [agentId, cursor, utc, theme, late, pinned],
  );
  const { sample, state, error } = useMetricsStream(agentId);
  const now = useNow(1_000);
  const silent = sample ? now - sample.timestamp : 0;
  const isFlowing = state === "open" && silent < SILENT_MS;
  useEffect(() => {
    document.title = `${agentId} · Nodeglass`;
  }, [agentId]);

  if (error instanceof ApiError && error.status === 404)
    return (
      <main className="nothing">
        <h1>There is no host {agentId}</h1>
        <p>
          It was never added, or it was removed. <Link to="/">All hosts</Link>
        </p>
      </main>
    );
  return (
    <main className="host">
      <div className="headline">
        <nav aria-label="Where this is">
          <Link to="/">Fleet</Link> <span aria-hidden="true">/</span>
        </nav>
        <h1>{agentId}</h1>
        <p className={isFlowing ? "state ok" : "state lost"} role="status">
          {state === "waiting" || state === "ended" ? (
            <>
              <i className="dot lost" /> no connection to the server: {error ? words(error) : "it closed the stream"}
              {state === "waiting" && "; trying again"}
            </>
          ) : !sample ? (
            "connecting…"
          ) : isFlowing ? (
            <>
              <i className="dot ok pulse" /> live
            </>
          ) : (
            <>
              <i className="dot lost" /> last heard of {ago(sample.timestamp, now)}
            </>
          )}
        </p>
        <Facts agentId={agentId} />
      </div>
      <Summary agentId={agentId} />
      <TimeBar span={span} name={name} utc={utc} cursor={cursor} isFlowing={isFlowing} last={last} />
      <ChartViewProvider value={view}>
        <div className="host-body">
          <div className="charts">
            {PANELS.map((panel) => (
              <TimePanel key={panel.id} agentId={agentId} panel={panel} span={span} />
            ))}
            <Tasks agentId={agentId} span={span} utc={utc} />
          </div>
          <aside>
            <Processes agentId={agentId} cursor={cursor} pinned={pinned} isLive={isLive} end={bounds(span, now)[1]} utc={utc} />
            <SystemInfoCard agentId={agentId} />
            <LedgerCard agentId={agentId} />
          </aside>
        </div>
      </ChartViewProvider>
    </main>
  );
}

/** What it is, in a line. */
function Facts({ agentId }: { agentId: string }) {
  const { data } = useSystemInfo(agentId);
  if (!data) return null;
  const { hardware, software } = data;
  const threads = hardware?.thread_count;
  const uptime = software?.uptime_seconds ?? undefined;
  const facts = [
    software?.os.version ?? software?.os.name,
    threads === undefined ? undefined : `${threads} thread${threads === 1 ? "" : "s"}`,
    // The host said so at its start or later, and has been up since.
    uptime === undefined ? undefined : `up ${duration(uptime * 1000 + Math.max(0, Date.now() - data.timestamp))}`,
  ];
  return <p className="facts">{facts.filter(Boolean).join(" · ")}</p>;
}
