/** Why there is nothing of hosts, and what of them came late: for charts of several hosts, which no history says it of. */

import type { Gap } from "@nodeglass/client";
import { type LateSpan, type Span, bounds, deriveLate, useClient } from "@nodeglass/react";
import { keepPreviousData, useQueries, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

/** What is known of one host's time. */
export interface HostSpans {
  gaps: readonly Gap[];
  late: readonly LateSpan[];
}

/** How often it is looked for new ones on a chart that goes on. */
const REFRESH_MS = 15_000;
/** Events of sessions in a span: as many as one answer holds. */
const MOST_EVENTS = 1_000;

/** By host, as far as it is known. */
export function useHostSpans(hosts: readonly string[], span: Span): ReadonlyMap<string, HostSpans> {
  const client = useClient();
  const isLive = "last" in span;
  const refetchInterval = isLive ? REFRESH_MS : (false as const);
  const gaps = useQueries({
    queries: hosts.map((host) => ({
      queryKey: ["gaps", host, span],
      refetchInterval,
      placeholderData: keepPreviousData,
      queryFn: ({ signal }: { signal: AbortSignal }) => {
        const [start, end] = bounds(span, Date.now());
        return client.agents.gaps(host, { start: Math.round(start), end: Math.round(end) }, { signal });
      },
    })),
    combine: (answers) => answers.map(({ data }) => data?.gaps),
  });
  const { data: events } = useQuery({
    queryKey: ["late of several", hosts, span],
    enabled: hosts.length > 0,
    refetchInterval,
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => {
      const [start, end] = bounds(span, Date.now());
      // A session that ended before the span may have begun anew within it.
      const since = { start: Math.round(start - (end - start)), limit: MOST_EVENTS };
      const [own, server] = await Promise.all([
        client.getFleetEvents({ agents: hosts, kind: ["connected", "disconnected", "lost"], ...since }, { signal }),
        client.getFleetEvents({ kind: ["server_started"], ...since }, { signal }),
      ]);
      return { own: own.events, server: server.events };
    },
  });
  return useMemo(
    () =>
      new Map(
        hosts.map((host, at) => {
          const own = events?.own.filter((event) => event.agent_id === host) ?? [];
          return [host, { gaps: gaps[at] ?? [], late: deriveLate([...own, ...(events?.server ?? [])]) }];
        }),
      ),
    [hosts.join(), gaps, events],
  );
}
