/** What all hosts do, second by second: the newest figures of each, and a short past for the small charts. */

import type { FleetChange, NodeglassClient } from "@nodeglass/client";

/** Points of a small chart. */
export const POINTS = 60;
/** Seconds between two figures of a host. */
const EVERY_SECONDS = 1;
/** How often it is asked which labels the hosts have. */
const LABELS_EVERY_MS = 30_000;
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
} as const;

/** One of them. */
export type Figure = keyof typeof FIGURES;
const NAMES = Object.keys(FIGURES) as Figure[];
const SERIES = Object.values(FIGURES);

/** Small charts, and the figures whose sums they show. */
const CHARTED = {
  cpu: ["cpu"],
  memory: ["memory"],
  network: ["received", "sent"],
  io: ["read", "write"],
  load: ["load"],
  gpu: ["gpu"],
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

/** How a host stands, the worst last. */
export type Health = "ok" | "warm" | "hot" | "lost";
export const HEALTH: readonly Health[] = ["lost", "hot", "warm", "ok"];

/** A host. */
export interface Host {
  id: string;
  isConnected: boolean;
  labels: Record<string, string>;
  updated: number | undefined;
  figures: Partial<Record<Figure, number>>;
  rings: Record<Charted, Ring>;
  health: Health;
  /** How bad it stands, for sorting: higher is worse. */
  score: number;
}

/**
 * Samples over which processors are busy before their host is told apart by it, once a second while somebody looks: a moment's peak
 * is no trouble.
 */
const SUSTAINED_SAMPLES = 10;

/** From where a figure is warm, and hot. */
const LIMITS: readonly [Figure, warm: number, hot: number][] = [
  ["cpu", 85, 95],
  ["memory", 85, 95],
  ["disk", 85, 95],
];

/** How a figure stands by itself. */
export function healthOf(figure: Figure, value: number | undefined): Health {
  const limits = LIMITS.find(([name]) => name === figure);
  if (!limits || value === undefined) return "ok";
  return value >= limits[2] ? "hot" : value >= limits[1] ? "warm" : "ok";
}

function judge(host: Host): void {
  if (!host.isConnected) {
    host.health = "lost";
    host.score = 1000;
    return;
  }
  host.health = "ok";
  host.score = 0;
  for (const [figure, warm, hot] of LIMITS) {
    const now = host.figures[figure] ?? 0;
    const value = figure === "cpu" && now >= warm ? Math.min(now, host.rings.cpu.recent(SUSTAINED_SAMPLES) ?? now) : now;
    const points = value >= hot ? 500 + value : value >= warm ? 200 + value : value;
    host.score = Math.max(host.score, points);
    if (value >= hot) host.health = "hot";
    else if (value >= warm && host.health === "ok") host.health = "warm";
  }
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
        if (isFirst) void this.backfill(signal);
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
      judge(host);
    }
    for (const id of gone) this.hosts.delete(id);
    this.state = { isLoaded: true, error: undefined, at: Date.now() };
    this.tell();
  }

  /** Labels change seldom, and are in no sample: they are asked for now and then. */
  private async followLabels(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const known = new Set(this.hosts.keys());
      try {
        const page = await this.client.listAgents({ metrics: [FIGURES.cpu] }, { signal });
        this.labels = new Map(page.agents.map(({ agent_id, labels }) => [agent_id, labels ?? {}]));
        for (const host of this.hosts.values()) {
          const labels = this.labels.get(host.id);
          if (labels) host.labels = labels;
          // It left while the stream was broken.
          else if (known.has(host.id)) this.hosts.delete(host.id);
        }
        this.tell();
      } catch {
        // The stream says what is wrong; labels stay as they were.
      }
      await rest(LABELS_EVERY_MS, signal);
    }
  }

  private admit(id: string): Host {
    const rings = Object.fromEntries(CHARTS.map((name) => [name, new Ring()])) as Record<Charted, Ring>;
    const host: Host = { id, isConnected: false, labels: this.labels.get(id) ?? {}, updated: undefined, figures: {}, rings, health: "ok", score: 0 };
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

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
