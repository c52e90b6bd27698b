/**
 * Spans whose samples came late: while an agent has no session it goes on sampling, and sends what it has when it is back. The
 * server says when sessions ended and began, and when it was away itself; what is stored of the time between came afterwards.
 */

import type { AgentEvent } from "@nodeglass/client";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";
import { type Span, bounds } from "./hooks.ts";
import { useClient } from "./provider.tsx";

/** A span whose samples came late, in Unix milliseconds; it ended with the session in which they came. */
export interface LateSpan {
  from: number;
  to: number;
}

/** How often it is looked for new ones on a chart that goes on. */
const REFRESH_MS = 10_000;
/** Events of sessions that one span of a chart may have: as many as one answer holds. */
const MOST = 1_000;

/**
 * The spans between sessions, and those in which the server was away, by rising time, out of events in any order. One that is still
 * open is none yet: its samples are on the agent. Of a session that began before the first event nothing is known.
 */
export function deriveLate(events: readonly Pick<AgentEvent, "kind" | "timestamp" | "id" | "detail">[]): LateSpan[] {
  const spans: LateSpan[] = [];
  let from: number | undefined;
  // Whether the agent may have come back since: those that come back to a server that was started anew are not noted.
  let isSure = true;
  for (const { kind, timestamp, detail } of [...events].sort((one, other) => one.timestamp - other.timestamp || one.id - other.id)) {
    if (kind === "lost" || kind === "disconnected") {
      if (from === undefined || !isSure) from = timestamp;
      isSure = true;
      continue;
    }
    const newest = (detail as { newest_sample?: number | null } | undefined)?.newest_sample ?? undefined;
    const began = kind === "server_started" ? (from ?? newest) : from;
    if (began !== undefined && timestamp > began) spans.push({ from: began, to: timestamp });
    isSure = kind === "connected";
    from = isSure || from === undefined ? undefined : timestamp;
  }
  return spans;
}

/** Those of a host within a span, and around its ends. Charts of the host are asked for again when there is a new one. */
export function useLate(agentId: string, span: Span): readonly LateSpan[] {
  const client = useClient();
  const queries = useQueryClient();
  const isLive = "last" in span;
  const { data } = useQuery({
    queryKey: ["late", agentId, span],
    queryFn: async ({ signal }) => {
      const [start, end] = bounds(span, Date.now());
      // A session that ended before the span may have begun anew within it.
      const since = { start: Math.round(start - (end - start)), limit: MOST };
      const [own, server] = await Promise.all([
        client.getEvents(agentId, { kind: ["connected", "disconnected", "lost"], ...since }, { signal }),
        client.getFleetEvents({ kind: ["server_started"], ...since }, { signal }),
      ]);
      return [...own.events, ...server.events];
    },
    refetchInterval: isLive ? REFRESH_MS : false,
  });
  const spans = useMemo(() => deriveLate(data ?? []), [data]);
  const known = useRef(Date.now());
  const newest = spans.at(-1)?.to ?? 0;
  useEffect(() => {
    if (newest <= known.current) return;
    known.current = newest;
    void queries.invalidateQueries({ queryKey: ["timeline", agentId] });
  }, [newest, agentId, queries]);
  return spans;
}
