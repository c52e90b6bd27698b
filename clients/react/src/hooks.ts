/** Questions to the server as hooks. */

import { type AgentsQuery, type HistoryQuery, type MetricsSnapshot, isFinal } from "@nodeglass/client";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { LiveStatus } from "./live.ts";
import { useClient, useLiveHosts } from "./provider.tsx";
import { Timeline } from "./timeline.ts";

/** Every host with some of its figures, asked for anew each `refreshMs`. */
export function useAgents(query: AgentsQuery = {}, refreshMs = 5_000) {
  const client = useClient();
  return useQuery({
    queryKey: ["agents", query],
    queryFn: ({ signal }) => client.listAgents(query, { signal }),
    refetchInterval: refreshMs,
    placeholderData: keepPreviousData,
  });
}

/** The latest sample of a host, asked for once; [`useMetricsStream`] follows it. */
export function useMetrics(agentId: string) {
  const client = useClient();
  return useQuery({
    queryKey: ["metrics", agentId],
    queryFn: ({ signal }) => client.getCurrentMetrics(agentId, { signal }),
  });
}

/** What a host is. */
export function useSystemInfo(agentId: string) {
  const client = useClient();
  return useQuery({
    queryKey: ["system", agentId],
    queryFn: ({ signal }) => client.getSystemInfo(agentId, { signal }),
    staleTime: 5 * 60_000,
  });
}

/** Buckets of some series; the ones before stand until the new ones are there. */
export function useHistory(agentId: string, query: HistoryQuery, options: { enabled?: boolean } = {}) {
  const client = useClient();
  return useQuery({
    queryKey: ["history", agentId, query],
    queryFn: ({ signal }) => client.getHistoricalMetrics(agentId, query, { signal }),
    placeholderData: keepPreviousData,
    enabled: options.enabled ?? true,
  });
}

/** A moment so short ago may still get a better answer: samples come to the store some seconds after they were taken. */
const SETTLED_MS = 30_000;
const SETTLE_EVERY_MS = 3_000;

/** The busiest processes at a moment. */
export function useProcesses(agentId: string, at: number | "now", options: { enabled?: boolean } = {}) {
  const client = useClient();
  return useQuery({
    queryKey: ["processes", agentId, at],
    queryFn: ({ signal }) => client.getProcesses(agentId, at, { signal }),
    placeholderData: keepPreviousData,
    refetchInterval: () => (at !== "now" && Date.now() - at < SETTLED_MS ? SETTLE_EVERY_MS : false),
    enabled: options.enabled ?? true,
  });
}

/** The tasks between two moments. */
export function useTasks(agentId: string, start: string | number, end: string | number, refreshMs: number | false = false) {
  const client = useClient();
  return useQuery({
    queryKey: ["tasks", agentId, start, end],
    queryFn: ({ signal }) => client.getTasks(agentId, { start, end, limit: 500 }, { signal }),
    placeholderData: keepPreviousData,
    refetchInterval: refreshMs,
  });
}

/** What became of every sample of a host. */
export function useLedger(agentId: string, refreshMs: number | false = 10_000) {
  const client = useClient();
  return useQuery({
    queryKey: ["ledger", agentId],
    queryFn: ({ signal }) => client.getLedger(agentId, { signal }),
    refetchInterval: refreshMs,
  });
}

/** The latest sample as it comes, and how the stream stands. It comes back by itself after a break. */
export function useMetricsStream(
  agentId: string,
  options: { interval?: number; enabled?: boolean } = {},
): LiveStatus & { sample: MetricsSnapshot | undefined } {
  const { interval = 1, enabled = true } = options;
  const live = useLiveHosts().host(agentId, interval);
  const [, redraw] = useState(0);
  useEffect(() => (enabled ? live.subscribe(() => redraw((count) => count + 1)) : undefined), [live, enabled]);
  return { ...live.status, sample: live.latest };
}

/** How often a chart is asked for again while the agent still has some of its samples, or while the server has no answer. */
const WAITING_MS = 5_000;

/** What a chart shows: the last so many milliseconds, going on, or from one moment to another. */
export type Span = { last: number } | { from: number; to: number };

/** Where a span begins and ends by now. */
export function bounds(span: Span, now: number): [from: number, to: number] {
  return "last" in span ? [now - span.last, now] : [span.from, span.to];
}

/**
 * The series of a chart: the history of a span, continued live where the span goes on to now. What was shown stands until the
 * new history is there; `drawn` names the span that it is of.
 */
export function useTimeline(
  agentId: string,
  metrics: readonly string[],
  span: Span,
  options: { points?: number; enabled?: boolean } = {},
): { timeline: Timeline; error: unknown; isLoading: boolean; drawn: string | undefined } {
  const { points = 600, enabled = true } = options;
  const client = useClient();
  const live = useLiveHosts().host(agentId);
  const isLive = "last" in span;
  const list = metrics.join(",");
  const timeline = useMemo(() => new Timeline(list.split(",")), [agentId, list]);
  const spanKey = isLive ? `last ${span.last}` : `${span.from} ${span.to}`;
  const [breaks, setBreaks] = useState(live.breaks);
  useEffect(() => {
    if (!isLive || !enabled) return;
    return live.subscribe((sample) => {
      // Points come before their history, too: after a break, and where the server has no answer.
      if (sample && timeline.isLoaded) timeline.append(sample);
      // Only once it is back: before that, nothing new can be asked for.
      if (live.status.state === "open") setBreaks(live.breaks);
    });
  }, [timeline, live, isLive, enabled]);
  const query = useQuery({
    queryKey: ["timeline", agentId, list, spanKey, points, isLive ? breaks : 0],
    queryFn: async ({ signal }) => {
      const [start, end] = isLive ? [`-${Math.round(span.last / 1000)}s`, "now"] : [span.from, span.to];
      const asked = { metrics: timeline.metrics, start, end, max_points: points };
      return { answer: await client.getHistoricalMetrics(agentId, asked, { signal }), spanKey, isLive };
    },
    enabled,
    refetchInterval: ({ state }) => {
      const isWaiting = isLive && state.data?.answer.gaps.some((gap) => gap.reason === "waiting");
      return isWaiting || (state.error && !isFinal(state.error)) ? WAITING_MS : false;
    },
    staleTime: isLive ? 0 : 60_000,
    gcTime: 60_000,
  });
  const { data } = query;
  const [drawn, setDrawn] = useState<string>();
  useEffect(() => {
    if (!data) return;
    timeline.load(data.answer);
    if (data.isLive) for (const sample of live.recent) timeline.append(sample);
    setDrawn(data.spanKey);
  }, [data, timeline, live]);
  return { timeline, error: query.error, isLoading: query.isPending, drawn };
}

/** The series that a timeline has. */
export function useKeys(timeline: Timeline): readonly string[] {
  return useSyncExternalStore(timeline.subscribe, timeline.keys, timeline.keys);
}
