/**
 * Spans whose samples came late: while an agent has no session it goes on sampling, and sends what it has when it is back. The
 * server says when sessions ended and began; what is stored of the time between came afterwards.
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
 * The spans between sessions, by rising time, out of events in any order. One that is still open is none yet: its samples are
 * on the agent. Of a session that began before the first event nothing is known, nor of one to a server that was down.
 */
export function deriveLate(events: readonly Pick<AgentEvent, "kind" | "timestamp" | "id">[]): LateSpan[] {
  const spans: LateSpan[] = [];
  let from: number | undefined;
  for (const { kind, timestamp } of [...events].sort((one, other) => one.timestamp - other.timestamp || one.id - other.id)) {
    if (kind === "lost" || kind === "disconnected") from ??= timestamp;
    else if (kind === "connected") {
      if (from !== undefined && timestamp > from) spans.push({ from, to: timestamp });
      from = undefined;
    }
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
    queryFn: ({ signal }) => {
      const [start, end] = bounds(span, Date.now());
      // A session that ended before the span may have begun anew within it.
      return client.getEvents(agentId, { kind: ["connected", "disconnected", "lost"], start: Math.round(start - (end - start)), limit: MOST }, { signal });
    },
    refetchInterval: isLive ? REFRESH_MS : false,
  });
  const spans = useMemo(() => deriveLate(data?.events ?? []), [data]);
  const known = useRef(Date.now());
  const newest = spans.at(-1)?.to ?? 0;
  useEffect(() => {
    if (newest <= known.current) return;
    known.current = newest;
    void queries.invalidateQueries({ queryKey: ["timeline", agentId] });
  }, [newest, agentId, queries]);
  return spans;
}
