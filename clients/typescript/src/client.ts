/** A server and the questions that it answers: hosts' figures by methods of the client, what is managed by those of its parts. */

import { Audit, Tokens, Users } from "./calls/accounts.ts";
import { Agents, FleetTokens, Groups, agent } from "./calls/agents.ts";
import { Dashboards } from "./calls/boards.ts";
import { ServerItself } from "./calls/server.ts";
import { OwnSession, Sessions } from "./calls/session.ts";
import type { ServerEvent } from "./events.ts";
import { parseLines, writeLines } from "./lines.ts";
import { newsOnly } from "./news.ts";
import type { MetricsStream, StreamOptions } from "./stream.ts";
import { type CallOptions, type ClientOptions, type Moment, type Parameters, Transport, moment } from "./transport.ts";
import type * as t from "./types.ts";

/**
 * A server, and the questions that it answers. Every call throws an `ApiError` for what the server refuses, and what `fetch` throws
 * where there is no answer or its `signal` was aborted. Calls that name an agent throw `unknown_agent`.
 */
export class NodeglassClient {
  /** Agents: names, labels, settings, and figures pushed for them. */
  readonly agents: Agents;
  /** Groups of agents. */
  readonly groups: Groups;
  /** Strings that make many hosts agents. */
  readonly fleetTokens: FleetTokens;
  /** Tokens of people and programs. */
  readonly tokens: Tokens;
  /** People who sign in with a password. */
  readonly users: Users;
  /** What was changed, and what was denied. */
  readonly audit: Audit;
  /** One's own session, password and one-time codes. */
  readonly session: OwnSession;
  /** Sessions that are open. */
  readonly sessions: Sessions;
  /** Dashboards that the server keeps. */
  readonly dashboards: Dashboards;
  /** The server itself. */
  readonly server: ServerItself;
  private readonly transport: Transport;

  /** Takes the address of the API alone, too, as the older clients do. */
  constructor(options: ClientOptions | string = {}) {
    const transport = new Transport(typeof options === "string" ? { baseUrl: options } : options);
    this.transport = transport;
    this.agents = new Agents(transport);
    this.groups = new Groups(transport);
    this.fleetTokens = new FleetTokens(transport);
    this.tokens = new Tokens(transport);
    this.users = new Users(transport);
    this.audit = new Audit(transport);
    this.session = new OwnSession(transport);
    this.sessions = new Sessions(transport);
    this.dashboards = new Dashboards(transport);
    this.server = new ServerItself(transport);
  }

  /**
   * What a host is: hardware, software, interfaces. Throws `no_system_info` before it has said so; with `packages` or any of the
   * `include_` flags it is asked now, and `agent_disconnected` or `agent_timeout` may be thrown.
   */
  getSystemInfo(agentId: string, options: t.SystemQuery & CallOptions = {}): Promise<t.SystemInfo> {
    const { packages, include_hardware, include_software, include_network, ...rest } = options;
    return this.get(`${agent(agentId)}/system`, { packages, include_hardware, include_software, include_network }, rest);
  }

  /** The latest sample of a host. Throws `no_metrics` before the first. */
  getCurrentMetrics(agentId: string, options: CallOptions = {}): Promise<t.MetricsSnapshot> {
    return this.get(`${agent(agentId)}/metrics`, {}, options);
  }

  /** A few figures of a host under plain names, over the last `hours`. */
  getFigures(agentId: string, hours: number, options: CallOptions = {}): Promise<t.Figures> {
    return this.get(`${agent(agentId)}/metrics`, { hours }, options);
  }

  /**
   * The latest sample at once, then each new one, at most one in `interval` seconds; of `metrics`, if they are named. It goes on
   * after a break, and throws where asking again is of no use: `unknown_agent`, `streams_disabled`, any error of 401.
   */
  streamMetrics(agentId: string, options: (StreamOptions & { metrics?: readonly string[] }) | number = {}): MetricsStream<t.MetricsSnapshot> {
    const wish = typeof options === "number" ? { interval: options } : options;
    const isNews = newsOnly(wish.lastEventId);
    return this.stream(`${agent(agentId)}/metrics/stream`, { interval: wish.interval, metrics: wish.metrics }, wish, ({ event, id, data }) => {
      if (event !== "metrics") return undefined;
      const sample = JSON.parse(data) as t.MetricsSnapshot;
      return isNews(id, sample.timestamp) ? sample : undefined;
    });
  }

  /** Samples of all hosts, or some, in one stream, and who comes and goes among them. Hosts that come later join. */
  streamFleet(query: t.OverviewQuery = {}, options: StreamOptions = {}): MetricsStream<t.FleetEvent> {
    return this.stream("/metrics/stream", { ...query, view: "samples", interval: options.interval }, options, ({ event, data }) =>
      event === "metrics" || event === "agent" ? ({ ...JSON.parse(data), kind: event } as t.FleetEvent) : undefined,
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

  /** Aligned buckets of some series of a host. Throws `unknown_metric`, `invalid_range`, `invalid_interval`, `invalid_aggregation`. */
  getHistoricalMetrics(agentId: string, query: t.HistoryQuery, options: CallOptions = {}): Promise<t.MetricsHistory> {
    return this.get(`${agent(agentId)}/metrics/history`, historyParameters(query), options);
  }

  /** The same of several hosts, each by itself. Throws `too_many_agents`, too. */
  getFleetHistory(query: t.FleetHistoryQuery, options: CallOptions = {}): Promise<t.FleetHistory> {
    return this.fleetHistory(query, "agent", options);
  }

  /** The same of several hosts, all as one. */
  getMergedHistory(query: t.FleetHistoryQuery, options: CallOptions = {}): Promise<t.MergedHistory> {
    return this.fleetHistory(query, "none", options);
  }

  /** The same of several hosts, those with the same value of a label as one. */
  getHistoryByLabel(label: string, query: t.FleetHistoryQuery, options: CallOptions = {}): Promise<t.HistoryByLabel> {
    return this.fleetHistory(query, `label:${label}`, options);
  }

  /** Every host with some of its figures, by name or as the query says, in pages if it asks for them. */
  listAgents(query: t.AgentsQuery = {}, options: CallOptions = {}): Promise<t.AgentsPage> {
    return this.get("/metrics/agents", { ...query }, options);
  }

  /** The latest figure of one metric of every host that is connected. Throws `unknown_metric`. */
  getLatest(metric: string, agents?: readonly string[], options: CallOptions = {}): Promise<t.Readings> {
    return this.get("/metrics/latest", { metric, agents }, options);
  }

  /** Who has most of a metric, now or over a span. Throws `unknown_metric`, `invalid_range`. */
  getTop(query: t.TopQuery, options: CallOptions = {}): Promise<t.Readings> {
    return this.get("/metrics/top", { ...query, start: moment(query.start), end: moment(query.end) }, options);
  }

  /** The busiest processes of a host at a moment. */
  getProcesses(agentId: string, at: Moment = "now", options: CallOptions = {}): Promise<t.ProcessesAt> {
    return this.get(`${agent(agentId)}/processes`, { at: moment(at) }, options);
  }

  /** The tasks that ran on a host between two moments. */
  getTasks(agentId: string, range: { start?: Moment; end?: Moment; limit?: number } = {}, options: CallOptions = {}): Promise<t.Tasks> {
    return this.get(`${agent(agentId)}/tasks`, { start: moment(range.start), end: moment(range.end), limit: range.limit }, options);
  }

  /** What became of every sample of a host. */
  getLedger(agentId: string, options: CallOptions = {}): Promise<t.Ledger> {
    return this.get(`${agent(agentId)}/ledger`, {}, options);
  }

  /** What happened to a host, the newest first. */
  getEvents(agentId: string, query: t.EventsQuery = {}, options: CallOptions = {}): Promise<t.AgentEvents> {
    return this.get(`${agent(agentId)}/events`, { ...query, start: moment(query.start), end: moment(query.end) }, options);
  }

  /** What happened to all agents that the caller may see, or to some, and to the server. */
  getFleetEvents(query: t.EventsQuery & { agents?: readonly string[] } = {}, options: CallOptions = {}): Promise<t.AgentEvents> {
    return this.get("/events", { ...query, start: moment(query.start), end: moment(query.end) }, options);
  }

  /** How the server stands: `server.readiness()` under its older name. */
  getReadiness(options: CallOptions = {}): Promise<t.Readiness> {
    return this.server.readiness(options);
  }

  /** Every stored sample, as it was taken, one after the other. An answer that breaks off throws, rather than end early. */
  async *exportSamples(query: t.ExportQuery = {}, options: CallOptions = {}): AsyncGenerator<t.StoredSample, void, void> {
    const parameters = { ...query, start: moment(query.start), end: moment(query.end) };
    const headers = { accept: "application/x-ndjson", ...options.headers };
    const response = await this.fetch("/export", parameters, { ...options, headers });
    if (response.body) yield* parseLines<t.StoredSample>(response.body);
  }

  /**
   * Stores exported samples, all that can be stored, and says what became of them; at most 8 MiB of lines in one call. With
   * `createAgents` agents that there are not are made. Throws `too_large`, and `invalid_body` or `unknown_agent` with nothing stored.
   */
  importSamples(samples: Iterable<t.StoredSample> | string, options: CallOptions & { createAgents?: boolean } = {}): Promise<t.Imported> {
    const { createAgents, ...rest } = options;
    const body = typeof samples === "string" ? samples : writeLines(samples);
    const headers = { "content-type": "application/x-ndjson", ...rest.headers };
    return this.transport.json("POST", "/import", { ...rest, headers, body, parameters: { create_agents: createAgents } });
  }

  /** Any other call below the API's address that answers in JSON. */
  call<T>(method: string, path: string, body?: unknown, options: CallOptions = {}): Promise<T> {
    return this.transport.json(method, path, { ...options, json: body });
  }

  /** Any other read. */
  get<T>(path: string, parameters: Parameters = {}, options: CallOptions = {}): Promise<T> {
    return this.transport.get(path, parameters, options);
  }

  /** Any read as it comes: histories and readings as CSV or Arrow, if its header `accept` says so. */
  fetch(path: string, parameters: Parameters = {}, options: CallOptions = {}): Promise<Response> {
    return this.transport.send(this.transport.baseUrl + path, { ...options, parameters });
  }

  /** Any other stream of events. */
  stream<T>(path: string, parameters: Parameters, options: StreamOptions, read: (event: ServerEvent) => T | undefined): MetricsStream<T> {
    return this.transport.stream(path, parameters, options, read);
  }

  private fleetHistory<T>(query: t.FleetHistoryQuery, group_by: string, options: CallOptions): Promise<T> {
    return this.get("/metrics/history", { ...historyParameters(query), agents: query.agents, group_by }, options);
  }
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
