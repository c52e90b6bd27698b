/**
 * The shapes of questions and answers: names for those of the OpenAPI document, from which `schema.ts` is made. Figures that
 * can't be known are absent, never zero. Times are Unix milliseconds. What is managed has its shapes in `managed.ts`.
 */

import type { Moment } from "./transport.ts";
import type { components } from "./schema.ts";

export type * from "./managed.ts";

type Schemas = components["schemas"];

/** What the processors do. */
export type CpuMetrics = Schemas["CpuMetrics"];
/** Memory and swap, in bytes and percent. */
export type MemoryMetrics = Schemas["MemoryMetrics"];
/** A disk, a file system, or both. */
export type DiskMetrics = Schemas["DiskMetrics"];
/** A network interface. */
export type NetworkMetrics = Schemas["NetworkMetrics"];
/** Load averages. */
export type LoadMetrics = Schemas["LoadMetrics"];
/** A process among the first by one of its figures. */
export type Process = Schemas["ProcessEntry"];
/** One sample of a host; a stream that was asked for some metrics has those alone. */
export type MetricsSnapshot = Omit<Schemas["Snapshot"], "agent_id"> & { agent_id?: string };
/** What a host is. */
export type SystemInfo = Schemas["SystemBody"];
/** A bucket: where it begins, in Unix seconds, and its figures. */
export type Bucket = { timestamp: number } & { [series: string]: number };
/** A span without samples, and why. */
export type Gap = Schemas["Gap"];
/** A history of one host. */
export type MetricsHistory = Omit<Schemas["HistoryBody"], "data"> & { data: Bucket[] };
/** Histories of several hosts, each by itself. */
export interface FleetHistory {
  agents: (Omit<Schemas["AgentHistory"], "data"> & { data: Bucket[] })[];
}
/** A history of several hosts as one. */
export type MergedHistory = Omit<Schemas["Together"], "data"> & { data: Bucket[] };
/** Histories of hosts with the same value of a label as one; those without the label come last. */
export interface HistoryByLabel {
  groups: (MergedHistory & Pick<Schemas["LabelGroup"], "label">)[];
}
/** A few figures of a host over time, under plain names. */
export type Figures = Schemas["Figures"];
/** A host in the list, with the figures that were asked for, nested as in a sample. */
export type AgentEntry = Schemas["OverviewAgent"] & { labels?: Record<string, string> };
/** Hosts, and how to ask for the next ones. */
export type AgentsPage = Omit<Schemas["Overview"], "agents"> & { agents: AgentEntry[] };
/** One figure of each of several hosts. */
export type Readings = Schemas["Readings"];
/** Processes at a moment; `timestamp` is null where nothing was read about then. */
export type ProcessesAt = Schemas["ProcessesBody"];
/** A task from start to end. */
export type Task = Schemas["TaskBody"];
/** Tasks, the latest start first. */
export type Tasks = Schemas["TasksBody"];
/** What became of every sample. */
export type Ledger = Schemas["Statement"];
/** What an agent is asked to do; what is null or absent is left to whoever stands below. */
export type AgentSettings = Partial<Schemas["AgentSettings"]>;
/** What is asked of an agent, and what is in force there. */
export type SettingsState = Omit<Schemas["SettingsBody"], "own" | "wanted" | "in_force"> & {
  own: AgentSettings;
  wanted: AgentSettings;
  in_force: AgentSettings | null;
};
/** The labels of an agent, with who said each. */
export type AgentLabels = Schemas["LabelsBody"];
/** Something that happened to an agent. */
export type AgentEvent = Schemas["EventBody"];
/** What happened, the newest first. */
export type AgentEvents = Schemas["EventsBody"];
/** How the server stands. */
export type Readiness = Schemas["Readiness"];
/** What an error says. */
export type Problem = Schemas["Problem"];
/** The kinds of errors, for programs. */
export type ErrorCode = Problem["code"];

/** What is asked of a host now, rather than taken from what it said last. */
export interface SystemQuery {
  /** The installed packages, too. */
  packages?: boolean;
  include_hardware?: boolean;
  include_software?: boolean;
  include_network?: boolean;
}

/** What a history is asked for. */
export interface HistoryQuery {
  /** `metric`, `metric@device` or `metric@*`. */
  metrics: readonly string[];
  start?: Moment;
  end?: Moment;
  /** The same under the older names. */
  startTime?: Moment;
  endTime?: Moment;
  /** The width of a bucket in whole seconds. */
  interval?: number;
  max_points?: number;
  agg?: "avg" | "min" | "max" | "last" | "sum" | "p95";
}

/** What a history of several hosts is asked for. */
export interface FleetHistoryQuery extends HistoryQuery {
  agents?: readonly string[];
}

/** What is asked about all hosts. */
export interface AgentsQuery {
  /** The figures of each; the usual ones of a list without it. */
  metrics?: readonly string[];
  /** Names, patterns, labels and groups: any of them. */
  agents?: readonly string[];
  /** What their names have in them, or a pattern. */
  q?: string;
  status?: string;
  sort?: string;
  limit?: number;
  /** The `next_cursor` of the page before. */
  cursor?: string;
}

/** Which events are asked for, the newest first. */
export interface EventsQuery {
  kind?: readonly string[];
  start?: Moment;
  end?: Moment;
  /** Those before this one's id. */
  before?: number;
  limit?: number;
}

/** What a stream about all hosts is to have. */
export interface OverviewQuery {
  /** Names, patterns, labels and groups; all hosts without it. */
  agents?: readonly string[];
  /** The series of each; the usual ones of a list without it. */
  metrics?: readonly string[];
}

/** A sample of one of several hosts, or that one of them came, went, or is among them no more. */
export type FleetEvent =
  | ({ kind: "metrics"; agent_id: string } & Omit<MetricsSnapshot, "agent_id">)
  | { kind: "agent"; agent_id: string; status: "connected" | "disconnected" | "left"; last_metrics_update?: number | null };

/** How one host stands. */
export interface HostChange {
  agent_id: string;
  connected: boolean;
  /** When its latest sample was taken, in Unix milliseconds. */
  timestamp?: number;
  /** Figures by series; absent if there is no new sample. */
  values?: Record<string, number>;
  /** It is not among the hosts any more. */
  left?: boolean;
}

/** What changed of all hosts. */
export interface FleetChange {
  /** Whether all hosts are in it. */
  full: boolean;
  agents: HostChange[];
}

/** Which hosts come first. */
export interface TopQuery {
  metric: string;
  k?: number;
  order?: "asc" | "desc";
  agents?: readonly string[];
  start?: Moment;
  end?: Moment;
  agg?: HistoryQuery["agg"];
}
