/** How a host stands, and why: each figure against a limit that is stated here, and what no figure says, such as silence. */

import type { ShownUnit } from "@nodeglass/react";
import type { Charted, Figure, Host } from "./store.ts";

/** How a host stands, the worst first. */
export type Health = "ok" | "warm" | "hot" | "lost";
export const HEALTH: readonly Health[] = ["lost", "hot", "warm", "ok"];

/** What is the matter with a host. */
export interface Trouble {
  health: Exclude<Health, "ok">;
  /** Shown on its row. */
  word: string;
  /** The figure, where it is one. */
  value?: number;
  unit?: ShownUnit;
  /** From where on it is trouble, in words. */
  limit: string;
}

/** A figure, or what is made of several, and from where on it is trouble. */
export interface Limit {
  word: string;
  figure?: Figure;
  value: (host: Host) => number | undefined;
  unit: ShownUnit;
  warm: number;
  hot: number;
  /** Where a moment's peak is no trouble: its small chart, of which the mean of the last samples counts. */
  sustained?: Charted;
}

/** Samples over which something is high before it tells its host apart, once a second while somebody looks. */
const SUSTAINED_SAMPLES = 10;

const figure = (name: Figure) => (host: Host) => host.figures[name];

/** Every limit. Pressure is the share of time in which tasks waited: little of it for memory is already much. */
export const LIMITS: readonly Limit[] = [
  { word: "CPU", figure: "cpu", value: figure("cpu"), unit: "%", warm: 85, hot: 95, sustained: "cpu" },
  { word: "memory", figure: "memory", value: figure("memory"), unit: "%", warm: 85, hot: 95 },
  { word: "disk", figure: "disk", value: figure("disk"), unit: "%", warm: 85, hot: 95 },
  { word: "swap", figure: "swap", value: figure("swap"), unit: "%", warm: 60, hot: 90 },
  { word: "CPU pressure", figure: "cpuWait", value: figure("cpuWait"), unit: "%", warm: 60, hot: 90, sustained: "cpuWait" },
  { word: "memory pressure", figure: "memoryWait", value: figure("memoryWait"), unit: "%", warm: 10, hot: 40, sustained: "memoryWait" },
  { word: "I/O pressure", figure: "ioWait", value: figure("ioWait"), unit: "%", warm: 30, hot: 70, sustained: "ioWait" },
  { word: "load", value: loadPerCore, unit: "tasks", warm: 2, hot: 4 },
  { word: "temperature", figure: "temperature", value: figure("temperature"), unit: "°C", warm: 85, hot: 95 },
];

/** A host that is connected and silent for so many of its usual intervals, and for so long, in milliseconds. */
export const SILENT = { intervals: 4, warmMs: 15_000, hotMs: 60_000 } as const;

/** A lost host stands above all others, a hot one above each that is warm. */
const BASE: Record<Health, number> = { lost: 1_000, hot: 500, warm: 200, ok: 0 };
/** How far beyond its limit something counts. */
const MOST_SHARE = 2;
/** Figures by which hosts are put in order that stand well. */
const BUSY: readonly Figure[] = ["cpu", "memory", "disk"];

/** Tasks that run or want to for each core; nothing where the cores are not known. */
export function loadPerCore({ figures, cores }: Pick<Host, "figures" | "cores">): number | undefined {
  return figures.load === undefined || cores === undefined ? undefined : figures.load / cores;
}

/** How a figure stands by itself. */
export function healthOf(name: Figure, value: number | undefined): Health {
  const limit = LIMITS.find((one) => one.figure === name);
  return limit && value !== undefined ? standing(limit, value) : "ok";
}

function standing({ warm, hot }: Limit, value: number): "ok" | "warm" | "hot" {
  return value >= hot ? "hot" : value >= warm ? "warm" : "ok";
}

/** All that is the matter with a host at a moment in Unix milliseconds, and how much, the worst first. */
function troublesOf(host: Host, now: number): { trouble: Trouble; score: number }[] {
  const found: { trouble: Trouble; score: number }[] = [];
  if (!host.isConnected) found.push({ trouble: { health: "lost", word: "lost", limit: "it has no session" }, score: BASE.lost });
  else {
    const silentMs = host.heard === undefined ? 0 : now - host.heard;
    if (silentMs >= Math.max(SILENT.warmMs, SILENT.intervals * (host.everyMs ?? 0))) {
      const health = silentMs >= SILENT.hotMs ? "hot" : "warm";
      const limit = `connected, and no sample for ${SILENT.warmMs / 1000} s and ${SILENT.intervals} of its intervals`;
      found.push({ trouble: { health, word: "silent", value: silentMs / 1000, unit: "s", limit }, score: BASE[health] + 100 });
    }
  }
  for (const one of host.isConnected ? LIMITS : []) {
    const newest = one.value(host);
    if (newest === undefined || newest < one.warm) continue;
    // Only what is high now is asked whether it was before.
    const value = one.sustained ? Math.min(newest, host.rings[one.sustained].recent(SUSTAINED_SAMPLES) ?? newest) : newest;
    const health = standing(one, value);
    if (health === "ok") continue;
    const limit = `${one[health]} ${one.unit}${one.value === loadPerCore ? " per core" : ""} and more`;
    found.push({ trouble: { health, word: one.word, value, unit: one.unit, limit }, score: BASE[health] + 100 * Math.min(value / one.hot, MOST_SHARE) });
  }
  if (host.lostSamples) {
    const limit = "samples lost in the last hour";
    found.push({ trouble: { health: "warm", word: "losses", value: host.lostSamples, unit: "count", limit }, score: BASE.warm + 50 });
  }
  return found.sort((one, other) => other.score - one.score);
}

/** Says how a host stands at a moment, and why. */
export function judge(host: Host, now: number): void {
  const found = troublesOf(host, now);
  host.troubles = found.map(({ trouble }) => trouble);
  host.health = found[0]?.trouble.health ?? "ok";
  host.score = found[0]?.score ?? Math.max(0, ...BUSY.map((name) => host.figures[name] ?? 0));
}
