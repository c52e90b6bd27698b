/** The calls of the REST API, one method each. */

import { ApiError } from "./errors.ts";
import type { ServerEvent } from "./events.ts";
import { MetricsStream, type StreamOptions } from "./stream.ts";
import type * as t from "./types.ts";

/** A moment: Unix seconds or milliseconds, a `Date`, RFC 3339, `now`, or an age such as `-1h`. */
export type Moment = number | string | Date;

/** Where the server is, and who asks. */
export interface ClientOptions {
  /** Where the API stands: `https://monitor.example.org:7080/api/v1`; without it, `/api/v1` of the page's own server. */
  baseUrl?: string;
  /** The token, or what gives it at each call. Pages that signed in with a cookie need none. */
  token?: string | (() => string | undefined);
  /** Sent with every call that changes something, where the session is a cookie. */
  csrf?: () => string | undefined;
  /** Another `fetch`. */
  fetch?: typeof globalThis.fetch;
  /** Told of each answer 401 that is about who calls, so that a page can ask people to sign in again. */
  onUnauthorized?: () => void;
}

/** Errors of 401 that are about a password or a code in the call, and not about who calls. */
const OF_WHAT_WAS_TYPED = new Set(["invalid_credentials", "code_required"]);

interface Call {
  signal?: AbortSignal;
  headers?: Record<string, string>;
  method?: string;
  body?: unknown;
}

type Parameters = Record<string, string | number | boolean | readonly string[] | Date | undefined>;

/** A server, and the questions that it answers. */
export class NodeglassClient {
  private readonly baseUrl: string;

  /** Takes the address of the API alone, too, as the older clients do. */
  constructor(private readonly options: ClientOptions | string = {}) {
    const base = typeof options === "string" ? options : (options.baseUrl ?? "/api/v1");
    this.baseUrl = base.replace(/\/+$/, "");
  }

  /** What a host is: hardware, software, interfaces. */
  getSystemInfo(agentId: string, options: { packages?: boolean; signal?: AbortSignal } = {}): Promise<t.SystemInfo> {
    return this.get(`${agent(agentId)}/system`, { packages: options.packages }, options);
  }

  /** The latest sample of a host. */
  getCurrentMetrics(agentId: string, options: Call = {}): Promise<t.MetricsSnapshot> {
    return this.get(`${agent(agentId)}/metrics`, {}, options);
  }

  /** The latest sample at once, then each new one, at most one in `interval` seconds. */
  streamMetrics(agentId: string, options: StreamOptions | number = {}): MetricsStream<t.MetricsSnapshot> {
    const wish = typeof options === "number" ? { interval: options } : options;
    return this.stream(`${agent(agentId)}/metrics/stream`, { interval: wish.interval }, wish, (event) =>
      event.event === "metrics" ? (JSON.parse(event.data) as t.MetricsSnapshot) : undefined,
    );
  }

  /**
   * Figures of all hosts in one stream: first of all of them, then in each `interval` of those of which something changed.
   * Hosts that come later join.
   */
  streamOverview(query: t.OverviewQuery = {}, options: StreamOptions = {}): MetricsStream<t.FleetChange> {
    const parameters = { ...query, view: "overview", interval: options.interval };
    return this.stream("/metrics/stream", parameters, options, (event) =>
      event.event === "overview" ? (JSON.parse(event.data) as t.FleetChange) : undefined,
    );
  }

  /** Aligned buckets of some series of a host. */
  getHistoricalMetrics(agentId: string, query: t.HistoryQuery, options: Call = {}): Promise<t.MetricsHistory> {
    return this.get(`${agent(agentId)}/metrics/history`, historyParameters(query), options);
  }

  /** The same of several hosts, each by itself. */
  getFleetHistory(query: t.FleetHistoryQuery, options: Call = {}): Promise<t.FleetHistory> {
    const parameters = { ...historyParameters(query), agents: query.agents, group_by: "agent" };
    return this.get("/metrics/history", parameters, options);
  }

  /** Every host with some of its figures, by name or as the query says, in pages if it asks for them. */
  listAgents(query: t.AgentsQuery = {}, options: Call = {}): Promise<t.AgentsPage> {
    return this.get("/metrics/agents", { ...query }, options);
  }

  /** The latest figure of one metric of every host that is connected. */
  getLatest(metric: string, agents?: readonly string[], options: Call = {}): Promise<t.Readings> {
    return this.get("/metrics/latest", { metric, agents }, options);
  }

  /** Who has most of a metric, now or over a span. */
  getTop(query: t.TopQuery, options: Call = {}): Promise<t.Readings> {
    return this.get("/metrics/top", { ...query }, options);
  }

  /** The busiest processes of a host at a moment. */
  getProcesses(agentId: string, at: Moment = "now", options: Call = {}): Promise<t.ProcessesAt> {
    return this.get(`${agent(agentId)}/processes`, { at: moment(at) }, options);
  }

  /** The tasks that ran on a host between two moments. */
  getTasks(agentId: string, range: { start?: Moment; end?: Moment; limit?: number } = {}, options: Call = {}): Promise<t.Tasks> {
    return this.get(`${agent(agentId)}/tasks`, { start: moment(range.start), end: moment(range.end), limit: range.limit }, options);
  }

  /** What became of every sample of a host. */
  getLedger(agentId: string, options: Call = {}): Promise<t.Ledger> {
    return this.get(`${agent(agentId)}/ledger`, {}, options);
  }

  /** What happened to a host, the newest first. */
  getEvents(
    agentId: string,
    query: { kind?: readonly string[]; start?: Moment; end?: Moment; before?: number; limit?: number } = {},
    options: Call = {},
  ): Promise<t.AgentEvents> {
    return this.get(`${agent(agentId)}/events`, { ...query, start: moment(query.start), end: moment(query.end) }, options);
  }

  /** What happened to all agents that the caller may see, or to some, and to the server. */
  getFleetEvents(
    query: { agents?: readonly string[]; kind?: readonly string[]; start?: Moment; end?: Moment; before?: number; limit?: number } = {},
    options: Call = {},
  ): Promise<t.AgentEvents> {
    return this.get("/events", { ...query, start: moment(query.start), end: moment(query.end) }, options);
  }

  /** How the server stands. */
  async getReadiness(options: Call = {}): Promise<t.Readiness> {
    const root = this.baseUrl.replace(/\/api(\/v1)?$/, "");
    return (await this.send(`${root}/ready`, options)).json() as Promise<t.Readiness>;
  }

  /** Any other call below the API's address that answers in JSON. */
  async call<T>(method: string, path: string, body?: unknown, options: Call = {}): Promise<T> {
    const response = await this.send(this.baseUrl + path, { ...options, method, body });
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  /** Any other read. */
  get<T>(path: string, parameters: Parameters = {}, options: Call = {}): Promise<T> {
    return this.send(this.baseUrl + path + search(parameters), options).then((response) => response.json() as Promise<T>);
  }

  /** Any other stream of events. */
  stream<T>(
    path: string,
    parameters: Parameters,
    options: StreamOptions,
    read: (event: ServerEvent) => T | undefined,
  ): MetricsStream<T> {
    const url = this.baseUrl + path + search(parameters);
    const open = (last: string | undefined, signal: AbortSignal) => {
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (last !== undefined) headers["last-event-id"] = last;
      return this.send(url, { signal, headers });
    };
    return new MetricsStream(open, read, options);
  }

  private async send(url: string, { signal, headers, method, body }: Call): Promise<Response> {
    const options = typeof this.options === "string" ? {} : this.options;
    const all: Record<string, string> = { accept: "application/json", ...headers };
    const token = typeof options.token === "function" ? options.token() : options.token;
    if (token) all.authorization = `Bearer ${token}`;
    if (body !== undefined) all["content-type"] = "application/json";
    const csrf = method && method !== "GET" ? options.csrf?.() : undefined;
    if (csrf) all["x-csrf-token"] = csrf;
    const ask = options.fetch ?? globalThis.fetch;
    const response = await ask(url, {
      method: method ?? "GET",
      headers: all,
      credentials: "same-origin",
      ...(signal ? { signal } : {}),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) {
      const error = await ApiError.from(response);
      if (error.status === 401 && !OF_WHAT_WAS_TYPED.has(error.code)) options.onUnauthorized?.();
      throw error;
    }
    return response;
  }
}

function agent(id: string): string {
  return `/agents/${encodeURIComponent(id)}`;
}

function moment(at: Moment | undefined): string | number | undefined {
  return at instanceof Date ? at.getTime() : at;
}

function historyParameters(query: t.HistoryQuery): Parameters {
  return {
    metrics: query.metrics,
    start: moment(query.start ?? query.startTime),
    end: moment(query.end ?? query.endTime),
    interval: query.interval,
    max_points: query.max_points,
    agg: query.agg,
  };
}

function search(parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) {
      if (value.length > 0) query.set(name, value.join(","));
    } else query.set(name, value instanceof Date ? String(value.getTime()) : String(value));
  }
  const text = query.toString();
  return text ? `?${text}` : "";
}
