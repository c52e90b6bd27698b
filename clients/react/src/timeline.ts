/**
 * The series of some charts over time: filled from a history, then continued with each sample that comes. Charts listen to
 * it and draw by themselves; React has nothing to do with a new point.
 */

import { type Gap, type MetricsHistory, type MetricsSnapshot, devicesOf, splitSeries, valueOf } from "@nodeglass/client";

/** Values of one series, beside the times; null where there is none. */
export type Column = (number | null)[];

/** Buckets that lie further apart than so many of the usual distance have a gap between them. */
const GAP = 3.5;
/** No chart shows more points than this. */
const MOST_POINTS = 4_000;
/** What goes on live keeps as much as was asked for, and a tenth more, so that it need not be cut with each sample. */
const SPARE = 0.1;

/** Some series of one host. */
export class Timeline {
  /** Where buckets begin, in Unix seconds. */
  times: number[] = [];
  columns = new Map<string, Column>();
  gaps: Gap[] = [];
  /** The width of a bucket in seconds. */
  interval = 1;
  /** What the buckets are made of, as the server says it. */
  resolution = "";
  source = "";
  isLoaded = false;
  /** The points that are kept: a window left open for days stays as small. */
  private most = MOST_POINTS;
  private readonly listeners = new Set<() => void>();
  private keysNow: readonly string[] = [];

  constructor(
    /** `metric`, `metric@device` or `metric@*`. */
    readonly metrics: readonly string[],
  ) {}

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** The series that there are; the same array as long as they are the same. */
  keys = (): readonly string[] => this.keysNow;

  /** Takes a history in place of all there was. */
  load(answer: Pick<MetricsHistory, "data" | "query" | "resolution"> & { gaps?: Gap[]; source?: string }): void {
    const { start_timestamp: start, end_timestamp: end, interval_seconds: interval } = answer.query;
    this.interval = interval;
    this.most = end > start ? Math.min(MOST_POINTS, Math.ceil((end - start) / interval)) : MOST_POINTS;
    this.resolution = answer.resolution;
    this.source = answer.source ?? "store";
    this.gaps = answer.gaps ?? [];
    this.times = [];
    this.columns = new Map();
    const usual = usualDistance(answer.data.map((bucket) => bucket.timestamp), this.interval);
    for (const bucket of answer.data) {
      const last = this.times.at(-1);
      if (last !== undefined && bucket.timestamp - last > usual * GAP) this.push(last + this.interval, () => null);
      this.push(bucket.timestamp, (key) => bucket[key] ?? null);
      for (const key in bucket) {
        if (key === "timestamp" || this.columns.has(key)) continue;
        const column = this.column(key);
        column[column.length - 1] = bucket[key] ?? null;
      }
    }
    this.isLoaded = true;
    this.changed();
  }

  /** Adds a sample: to the last bucket if it falls into it, or as the next. Older ones are passed over. */
  append(sample: MetricsSnapshot): void {
    const at = sample.timestamp / 1000;
    const bucket = Math.floor(at / this.interval) * this.interval;
    const last = this.times.at(-1);
    if (last !== undefined && bucket < last) return;
    const values = this.read(sample);
    for (const key of values.keys()) this.column(key);
    if (last === bucket) {
      // The mean of what the bucket has so far: samples come once a second while somebody looks.
      const share = 1 / Math.max(1, Math.round(at - bucket) + 1);
      for (const [key, value] of values) {
        const column = this.column(key);
        const before = column[column.length - 1];
        column[column.length - 1] = before === null || before === undefined ? value : before + (value - before) * share;
      }
    } else {
      if (last !== undefined && bucket - last > Math.max(this.interval, 2) * GAP) this.push(last + this.interval, () => null);
      this.push(bucket, (key) => values.get(key) ?? null);
      this.trim();
    }
    this.changed();
  }

  /** The value of a series at or right before a moment, in seconds. */
  at(key: string, index: number | null | undefined): number | null {
    const column = this.columns.get(key);
    if (!column) return null;
    return (index === null || index === undefined ? lastKnown(column) : column[index]) ?? null;
  }

  /** The mean of what a series has; nothing is 0. */
  mean = (key: string): number => {
    let [sum, count] = [0, 0];
    for (const value of this.columns.get(key) ?? []) {
      if (value === null) continue;
      sum += value;
      count += 1;
    }
    return count === 0 ? 0 : sum / count;
  };

  private read(sample: MetricsSnapshot): Map<string, number> {
    const values = new Map<string, number>();
    for (const metric of this.metrics) {
      const [path, device] = splitSeries(metric);
      const series = device === "*" ? devicesOf(sample, path).map((one) => `${path}@${one}`) : [metric];
      for (const key of series) {
        const value = valueOf(sample, key);
        if (value !== undefined) values.set(key, value);
      }
    }
    return values;
  }

  private push(time: number, value: (key: string) => number | null): void {
    this.times.push(time);
    for (const [key, column] of this.columns) column.push(value(key));
  }

  private column(key: string): Column {
    let column = this.columns.get(key);
    if (!column) {
      column = new Array<number | null>(this.times.length).fill(null);
      this.columns.set(key, column);
    }
    return column;
  }

  /** Lets go of what is older than what was asked for, and of series that have nothing left: devices come and go. */
  private trim(): void {
    if (this.times.length <= this.most * (1 + SPARE)) return;
    const over = this.times.length - this.most;
    this.times.splice(0, over);
    for (const [key, column] of this.columns) {
      column.splice(0, over);
      if (column.every((value) => value === null)) this.columns.delete(key);
    }
  }

  private changed(): void {
    if (this.keysNow.length !== this.columns.size || this.keysNow.some((key) => !this.columns.has(key)))
      this.keysNow = [...this.columns.keys()];
    for (const listener of this.listeners) listener();
  }
}

function lastKnown(column: Column): number | null {
  // Only the newest points: an old figure is not one of now.
  for (let at = column.length - 1; at >= 0 && at >= column.length - 3; at--) {
    const value = column[at];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

function usualDistance(times: readonly number[], interval: number): number {
  const distances = times.slice(1).map((time, at) => time - (times[at] ?? time));
  distances.sort((one, other) => one - other);
  return Math.max(interval, distances[Math.floor(distances.length / 2)] ?? interval);
}
