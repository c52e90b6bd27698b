/** One stream for each host that is looked at, however many charts look. */

import type { MetricsSnapshot, NodeglassClient, StreamState } from "@nodeglass/client";

/** Samples that are kept for charts whose history is on its way. */
const KEPT = 45;
/** How long a stream stays open after the last who looked: from one page to the next it need not begin anew. */
const LINGER_MS = 3_000;

/** How a live view stands. */
export interface LiveStatus {
  state: StreamState | "ended";
  error?: unknown;
}

/** The samples of a host as they come. */
export class LiveHost {
  latest: MetricsSnapshot | undefined;
  status: LiveStatus = { state: "connecting" };
  /** How often the stream began anew: histories are asked for again then. */
  breaks = 0;
  readonly recent: MetricsSnapshot[] = [];
  private readonly listeners = new Set<(sample: MetricsSnapshot | undefined) => void>();
  private stop: AbortController | undefined;
  private linger: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly client: NodeglassClient,
    private readonly agentId: string,
    private readonly interval: number,
  ) {}

  /** Calls back with each sample, and with nothing when the status changed. */
  subscribe = (listener: (sample: MetricsSnapshot | undefined) => void): (() => void) => {
    this.listeners.add(listener);
    clearTimeout(this.linger);
    if (!this.stop) void this.run();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      this.linger = setTimeout(() => {
        this.stop?.abort();
        this.stop = undefined;
      }, LINGER_MS);
    };
  };

  private async run(): Promise<void> {
    const stop = new AbortController();
    this.stop = stop;
    try {
      const stream = this.client.streamMetrics(this.agentId, {
        interval: this.interval,
        signal: stop.signal,
        onState: (state, error) => {
          if (state === "waiting") this.breaks += 1;
          this.say({ state, error });
        },
      });
      for await (const sample of stream) {
        this.latest = sample;
        this.recent.push(sample);
        if (this.recent.length > KEPT) this.recent.shift();
        this.tell(sample);
      }
    } catch (error) {
      this.say({ state: "ended", error });
    } finally {
      if (this.stop === stop) this.stop = undefined;
    }
  }

  private say(status: LiveStatus): void {
    this.status = status;
    this.tell(undefined);
  }

  private tell(sample: MetricsSnapshot | undefined): void {
    for (const listener of this.listeners) listener(sample);
  }
}

/** The live views of a client, one for each host. */
export class LiveHosts {
  private readonly hosts = new Map<string, LiveHost>();
  constructor(private readonly client: NodeglassClient) {}

  /** That of a host, at one sample in `interval` seconds. */
  host(agentId: string, interval = 1): LiveHost {
    const key = `${interval} ${agentId}`;
    let host = this.hosts.get(key);
    if (!host) {
      host = new LiveHost(this.client, agentId, interval);
      this.hosts.set(key, host);
    }
    return host;
  }
}
