/** What all hosts do, second by second: the newest figures of each, and a short past for the small charts. */

import type { AgentEvent, FleetChange, NodeglassClient } from "@nodeglass/client";
import { type Health, type Trouble, judge } from "./health.ts";

/** Points of a small chart. */
export const POINTS = 60;
/** Seconds between two figures of a host. */
const EVERY_SECONDS = 1;
/** How often it is asked what stands in no sample: labels, and what was lost. */
const LABELS_EVERY_MS = 30_000;
/** Of so long samples that were lost are counted. */
const LOST_WITHIN = "-1h";
/** Reasons of gaps whose samples were taken, and lost. */
const LOSSES = new Set(["full", "too_old", "damaged"]);
/** Events of losses in one answer at most, and hosts in one. */
const MOST_EVENTS = 1_000;
const MOST_HOSTS = 10_000;
/** Of so many hosts at most the last minutes are asked for, so that small charts begin full. */
const BACKFILLED = 60;
/** What that past is. */
const PAST_SECONDS = 5 * 60;

/** The figures of a row, and where they stand in an answer. */
export const FIGURES = {
  cpu: "cpu.usage_percent",
  memory: "memory.usage_percent",
  disk: "disk.usage_percent",
  read: "disk.read_bytes_per_sec",
  write: "disk.write_bytes_per_sec",
  received: "network.bytes_recv_per_sec",
  sent: "network.bytes_sent_per_sec",
  load: "load.load1",
  gpu: "gpu.utilization_percent",
  swap: "memory.swap_usage_percent",
  cpuWait: "pressure.cpu_some_percent",
  memoryWait: "pressure.memory_some_percent",
  ioWait: "pressure.io_full_percent",
  temperature: "sensor.temperature_celsius",
} as const;

/** One of them. */
export type Figure = keyof typeof FIGURES;
const NAMES = Object.keys(FIGURES) as Figure[];
const SERIES = Object.values(FIGURES);

/** How many cores a host has: they are counted once, of those that are new. */
const CORES = "cpu.core_usage@*";

/** Small charts, and the figures whose sums they show; of pressure none is drawn, but the last samples are looked at. */
const CHARTED = {
  cpu: ["cpu"],
  memory: ["memory"],
  network: ["received", "sent"],
  io: ["read", "write"],
  load: ["load"],
  gpu: ["gpu"],
  cpuWait: ["cpuWait"],
  memoryWait: ["memoryWait"],
  ioWait: ["ioWait"],
} as const satisfies Record<string, readonly Figure[]>;
export type Charted = keyof typeof CHARTED;
const CHARTS = Object.keys(CHARTED) as Charted[];

/** The last points of a figure, the oldest first; NaN where there is none. */
export class Ring {
  private readonly points = new Float32Array(POINTS).fill(Number.NaN);
  private next = 0;

  push(value: number | undefined): void {
    this.points[this.next] = value ?? Number.NaN;
    this.next = (this.next + 1) % POINTS;
  }

  at(index: number): number {
    return this.points[(this.next + index) % POINTS] ?? Number.NaN;
  }

  /** The mean of the newest points, as far as there are any. */
  recent(points: number): number | undefined {
    let [sum, count] = [0, 0];
    for (let index = POINTS - points; index < POINTS; index++) {
      const value = this.at(index);
      if (Number.isNaN(value)) continue;
      sum += value;
      count += 1;
    }
    return count === 0 ? undefined : sum / count;
  }

  most(): number {
    let most = 0;
    for (const point of this.points) if (point > most) most = point;
    return most;
  }
}

/** A host. */
export interface Host {
  id: string;
  isConnected: boolean;
  labels: Record<string, string>;
  updated: number | undefined;
  figures: Partial<Record<Figure, number>>;
  rings: Record<Charted, Ring>;
  /** Cores, once they are counted. */
  cores: number | undefined;
  /** When its newest sample came here, by this page's clock, and how far it was from the one before. */
  heard: number | undefined;
  everyMs: number | undefined;
  /** Samples that were lost lately. */
  lostSamples: number | undefined;
  health: Health;
  /** What is the matter with it, the worst first. */
  troubles: readonly Trouble[];
  /** How bad it stands, for sorting: higher is worse. */
  score: number;
}

/** How the view of the fleet stands. */
export interface FleetState {
  isLoaded: boolean;
  /** Why figures don't come, while they don't. */
  error: unknown;
  /** When they last came. */
  at: number | undefined;
}

/** Asks for as long as somebody listens. */
export class Fleet {
  readonly hosts = new Map<string, Host>();
  state: FleetState = { isLoaded: false, error: undefined, at: undefined };
  /** Counts up with every answer. */
  version = 0;
  private readonly listeners = new Set<() => void>();
  private stop: AbortController | undefined;
  private labels: ReadonlyMap<string, Record<string, string>> = new Map<string, Record<string, string>>();

  constructor(private readonly client: NodeglassClient) {}

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    if (!this.stop) void this.run();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      this.stop?.abort();
      this.stop = undefined;
    };
  };

  snapshot = (): number => this.version;

  private async run(): Promise<void> {
    const stop = new AbortController();
    this.stop = stop;
    const { signal } = stop;
    void this.followLabels(signal);
    const stream = this.client.streamOverview(
      { metrics: SERIES },
      {
        interval: EVERY_SECONDS,
        signal,
        onState: (state, error) => {
          if (state === "waiting") this.fail(error ?? new Error("the stream broke off"));
        },
      },
    );
    try {
      for await (const change of stream) {
        const isFirst = !this.state.isLoaded;
        this.take(change);
        if (!isFirst) continue;
        void this.backfill(signal);
        // What can't be counted now is counted with the next labels.
        void this.countCores(signal).catch(() => {});
      }
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  private fail(error: unknown): void {
    this.state = { ...this.state, error };
    this.tell();
  }

  private take(change: FleetChange): void {
    const now = Date.now();
    const gone = new Set(change.full ? this.hosts.keys() : []);
    for (const { agent_id: id, connected, timestamp, values, left } of change.agents) {
      if (left) {
        gone.add(id);
        continue;
      }
      gone.delete(id);
      const host = this.hosts.get(id) ?? this.admit(id);
      host.isConnected = connected;
      const isNew = timestamp !== host.updated;
      if (isNew) {
        if (timestamp !== undefined && host.updated !== undefined) host.everyMs = timestamp - host.updated;
        host.heard = now;
      }
      host.updated = timestamp ?? host.updated;
      if (isNew && values) {
        const { figures, rings } = host;
        for (const name of NAMES) {
          const value = values[FIGURES[name]];
          if (value === undefined) delete figures[name];
          else figures[name] = value;
        }
        for (const chart of CHARTS) rings[chart].push(sum(CHARTED[chart].map((name) => figures[name])));
      }
    }
    // Silence is no change: all are looked at.
    for (const host of this.hosts.values()) judge(host, now);
    for (const id of gone) this.hosts.delete(id);
    this.state = { isLoaded: true, error: undefined, at: now };
    this.tell();
  }

  /** Labels and losses change seldom, and are in no sample: they are asked for now and then. */
  private async followLabels(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const known = new Set(this.hosts.keys());
      try {
        const [page, losses] = await Promise.all([
          this.client.agents.list({ limit: MOST_HOSTS }, { signal }),
          this.client.getFleetEvents({ kind: ["gap"], start: LOST_WITHIN, limit: MOST_EVENTS }, { signal }),
        ]);
        this.labels = new Map(page.agents.map(({ agent_id, labels }) => [agent_id, labels]));
        const lost = lostBy(losses.events);
        for (const host of this.hosts.values()) {
          host.lostSamples = lost.get(host.id);
          const labels = this.labels.get(host.id);
          if (labels) host.labels = labels;
          // It left while the stream was broken.
          else if (known.has(host.id)) this.hosts.delete(host.id);
        }
        await this.countCores(signal);
        this.tell();
      } catch {
        // The stream says what is wrong; labels stay as they were.
      }
      await rest(LABELS_EVERY_MS, signal);
    }
  }

  /** Counts the cores of hosts that are new. */
  private async countCores(signal: AbortSignal): Promise<void> {
    const uncounted = [...this.hosts.values()].filter((host) => host.cores === undefined && host.figures.load !== undefined);
    if (uncounted.length === 0) return;
    const { agents } = await this.client.getLatest(CORES, undefined, { signal });
    const counts = new Map<string, number>();
    for (const { agent_id: id } of agents) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const host of uncounted) host.cores = counts.get(host.id);
  }

  private admit(id: string): Host {
    const rings = Object.fromEntries(CHARTS.map((name) => [name, new Ring()])) as Record<Charted, Ring>;
    const host: Host = {
      id,
      isConnected: false,
      labels: this.labels.get(id) ?? {},
      updated: undefined,
      figures: {},
      rings,
      cores: undefined,
      heard: undefined,
      everyMs: undefined,
      lostSamples: undefined,
      health: "ok",
      troubles: [],
      score: 0,
    };
    this.hosts.set(id, host);
    return host;
  }

  /** Fills the small charts with what was before, once. */
  private async backfill(signal: AbortSignal): Promise<void> {
    if (this.hosts.size > BACKFILLED) return;
    const metrics = CHARTS.flatMap((chart) => CHARTED[chart].map((name) => FIGURES[name]));
    try {
      const past = await this.client.getFleetHistory({ metrics, start: `-${PAST_SECONDS}s`, max_points: POINTS }, { signal });
      for (const { agent_id, data } of past.agents) {
        const host = this.hosts.get(agent_id);
        if (!host) continue;
        for (const bucket of data) {
          for (const chart of CHARTS) host.rings[chart].push(sum(CHARTED[chart].map((name) => bucket[FIGURES[name]])));
        }
      }
      this.tell();
    } catch {
      // The small charts begin empty, then.
    }
  }

  private tell(): void {
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}

/** What there is, put together; nothing where there is nothing. */
function sum(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : known.reduce((all, value) => all + value, 0);
}

/** Samples that were taken and lost, by host. */
function lostBy(events: readonly Pick<AgentEvent, "agent_id" | "detail">[]): Map<string, number> {
  const lost = new Map<string, number>();
  for (const { agent_id: id, detail } of events) {
    const { reason, samples } = (detail ?? {}) as { reason?: string; samples?: number };
    if (id && samples && LOSSES.has(reason ?? "")) lost.set(id, (lost.get(id) ?? 0) + samples);
  }
  return lost;
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
