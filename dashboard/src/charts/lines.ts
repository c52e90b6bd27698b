/** Which lines a chart of several hosts has: of more than can be told apart, the largest, each in a colour that it keeps. */

import { type ChartSeries, MOST_SERIES, type Size, colour, largest } from "@nodeglass/react";

/** More lines than this can't be told apart. */
export const MOST_LINES = MOST_SERIES;

/** A line: a host's series. */
export interface Line {
  host: string;
  series: string;
}

/** The column of a line in the timeline. */
export function keyOf({ host, series }: Line): string {
  return `${host}:${series}`;
}

function lineOf(key: string): Line {
  const colon = key.indexOf(":");
  return { host: key.slice(0, colon), series: key.slice(colon + 1) };
}

/** Chooses lines; `colours` has the colours of those that were chosen before, and is brought up to date. */
export function choose(keys: readonly string[], size: Size, withMetric: boolean, colours: Map<string, number>): ChartSeries[] {
  const chosen = largest(keys, MOST_LINES, size);
  for (const key of colours.keys()) if (!chosen.includes(key)) colours.delete(key);
  const taken = new Set(colours.values());
  let free = 0;
  for (const key of chosen) {
    if (colours.has(key)) continue;
    while (taken.has(free)) free += 1;
    taken.add(free);
    colours.set(key, free);
  }
  return chosen.map((key) => {
    const { host, series } = lineOf(key);
    const device = series.includes("@") ? ` ${series.split("@")[1]}` : "";
    return { key, label: withMetric ? `${host} ${series}` : host + device, colour: colour(colours.get(key) ?? 0) };
  });
}

/** What is said where not all are drawn; nothing where all are. */
export function saidOf(keys: readonly string[], drawn: number): string | undefined {
  if (keys.length <= drawn) return undefined;
  const hosts = new Set(keys.map((key) => lineOf(key).host));
  return `The ${drawn} largest of ${keys.length} ${hosts.size === keys.length ? "hosts" : "series"}`;
}
