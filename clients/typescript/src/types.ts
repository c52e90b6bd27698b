/** The shapes of questions and answers. Figures that can't be known are absent, never zero. Times are Unix milliseconds. */

import type { Moment } from "./client.ts";

/** Figures under their names; those of a kind that this client does not know yet are there all the same. */
export type Figures = { [name: string]: number | undefined };

/** What the processors do. */
export interface CpuMetrics {
  usage_percent?: number;
  user_percent?: number;
  system_percent?: number;
  idle_percent?: number;
  iowait_percent?: number;
  nice_percent?: number;
  irq_percent?: number;
  softirq_percent?: number;
  steal_percent?: number;
  temperature_celsius?: number;
  core_usage?: number[];
  cores?: ({ core: number } & Figures)[];
  [name: string]: unknown;
}

/** Memory and swap, in bytes and percent. */
export interface MemoryMetrics {
  total_bytes?: number;
  used_bytes?: number;
  available_bytes?: number;
  free_bytes?: number;
  cached_bytes?: number;
  buffers_bytes?: number;
  usage_percent?: number;
  swap_total_bytes?: number;
  swap_used_bytes?: number;
  swap_usage_percent?: number;
  [name: string]: number | undefined;
}

/** A disk, a file system, or both. */
export interface DiskMetrics {
  device: string;
  mount_point?: string;
  total_bytes?: number;
  used_bytes?: number;
  available_bytes?: number;
  usage_percent?: number;
  read_bytes_per_sec?: number;
  write_bytes_per_sec?: number;
  read_ops_per_sec?: number;
  write_ops_per_sec?: number;
  io_util_percent?: number;
  [name: string]: unknown;
}

/** A network interface. */
export interface NetworkMetrics {
  interface: string;
  bytes_sent_per_sec?: number;
  bytes_recv_per_sec?: number;
  [name: string]: unknown;
}

/** A process among the first by one of its figures. */
export interface Process {
  pid: number;
  start_time?: number;
  name: string;
  command?: string;
  user?: string;
  cgroup?: string;
  container?: string;
  cpu_percent?: number;
  memory_bytes?: number;
  threads?: number;
  read_bytes_per_sec?: number;
  write_bytes_per_sec?: number;
  gpu_memory_bytes?: number;
  gpu_utilization_percent?: number;
}

/** One sample of a host. */
export interface MetricsSnapshot {
  agent_id?: string;
  timestamp: number;
  cpu: CpuMetrics;
  memory: MemoryMetrics;
  disks: DiskMetrics[];
  network_interfaces: NetworkMetrics[];
  processes?: { top?: Process[]; total_processes?: number; [name: string]: unknown };
  load?: { load1?: number; load5?: number; load15?: number };
  failures?: { collector: string; reason: string }[];
  [section: string]: unknown;
}

/** What a host is. */
export interface SystemInfo {
  agent_id: string;
  timestamp: number;
  hardware: {
    cpu: { model?: string; cores?: number; threads?: number; frequency_mhz?: number; features?: string[] };
    memory: { total_bytes?: number; available_bytes?: number };
    disks?: { device: string; mount_point?: string; filesystem?: string; total_bytes?: number; available_bytes?: number }[];
    gpus?: { name?: string; model?: string; memory_bytes?: number; driver_version?: string }[];
    architecture?: string;
    core_count?: number;
    thread_count?: number;
  };
  software: {
    os: { name?: string; version?: string; kernel_version?: string; distribution?: string };
    hostname?: string;
    uptime_seconds?: number;
    packages?: { name: string; version: string }[];
    [name: string]: unknown;
  };
  network_interfaces?: { name: string; mac_address?: string; ip_addresses?: string[]; is_up?: boolean; speed_mbps?: number }[];
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

/** A bucket: where it begins, in Unix seconds, and its figures. */
export type Bucket = { timestamp: number } & { [series: string]: number };

/** A span without samples, and why. */
export interface Gap {
  reason: string;
  from: number;
  to: number;
  samples?: number;
}

interface Buckets {
  query: { metrics: string[]; start_timestamp: number; end_timestamp: number; interval_seconds: number };
  data: Bucket[];
  truncated: boolean;
  resolution: string;
}

/** The answer for one host. */
export interface MetricsHistory extends Buckets {
  agent_id: string;
  source: string;
  gaps: Gap[];
}

/** What a history of several hosts is asked for. */
export interface FleetHistoryQuery extends HistoryQuery {
  agents?: readonly string[];
}

/** The answer for several. */
export interface FleetHistory {
  agents: ({ agent_id: string } & Buckets)[];
}

/** What is asked about all hosts. */
export interface AgentsQuery {
  metrics?: readonly string[];
  limit?: number;
  cursor?: string;
  status?: string;
  q?: string;
  sort?: string;
}

/** A host in the list, with the figures that were asked for, nested as in a sample. */
export interface AgentEntry {
  agent_id: string;
  status: string;
  last_metrics_update?: number | null;
  labels?: Record<string, string>;
  metrics?: { [section: string]: Figures };
}

/** Hosts, and how to ask for the next ones. */
export interface AgentsPage {
  agents: AgentEntry[];
  next_cursor?: string;
}

/** Which hosts come first. */
export interface TopQuery {
  metric: string;
  k?: number;
  order?: "asc" | "desc";
  agents?: readonly string[];
  start?: string | number;
  end?: string | number;
  agg?: string;
}

/** One figure of each of several hosts. */
export interface Readings {
  metric: string;
  unit: string;
  resolution?: string;
  agents: { agent_id: string; device?: string; timestamp: number; value: number }[];
}

/** Processes at a moment; `timestamp` is absent where nothing was read about then. */
export interface ProcessesAt {
  agent_id: string;
  timestamp: number | null;
  processes: Process[];
}

/** A task from start to end. */
export interface Task {
  task_id: string;
  state: "running" | "ended" | "lost";
  command: string;
  started_at: number;
  last_seen_at: number;
  ended_at?: number;
  exit_code?: number;
  cpu_time_ms?: number;
  peak_memory_bytes?: number;
}

/** Tasks, the latest start first. */
export interface Tasks {
  agent_id: string;
  tasks: Task[];
}

/** What became of every sample. */
export interface Ledger {
  agent_id: string;
  agent?: {
    as_of: number;
    sampled: number;
    local: number;
    journalled: number;
    sent: number;
    acknowledged: number;
    buffered: number;
    rejected: Record<string, number>;
    evicted: Record<string, number>;
    journal?: { disk_bytes?: number; memory_bytes?: number };
    gaps?: Gap[];
  };
  server: { stored: number; duplicate: number; rejected: Record<string, number> };
  balance?: { sampled: number; stored: number; buffered: number; lost: number; unaccounted: number; balanced: boolean };
}

/** How the server stands. */
export interface Readiness {
  status: string;
  compaction: Record<string, number>;
}
