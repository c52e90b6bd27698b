/** Which lines a chart of several hosts has: of more than can be told apart, the largest, each in a colour that it keeps. */

import { splitSeries } from "@nodeglass/client";
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

/** A line that was asked for, and the place of its colour among all. Of `metric@*` there is one for each device. */
export interface Wanted extends Line {
  tone: number;
}

/** The line of a column. */
export function lineOf(key: string): Line {
  const colon = key.indexOf(":");
  return { host: key.slice(0, colon), series: key.slice(colon + 1) };
}

/** Whether a line stands for one of each device. */
export function isOfDevices({ series }: Line): boolean {
  return splitSeries(series)[1] === "*";
}

/**
 * The lines that were asked for by name, in their colours, whether there is something of them or not, and those of devices as they
 * are found: of more than can be told apart the largest, in colours that are free. `of` is how many there would be.
 */
export function choose(keys: readonly string[], wanted: readonly Wanted[], size: Size, colours: Map<string, number>): { series: ChartSeries[]; of: number } {
  const named = wanted.filter((line) => !isOfDevices(line));
  const series: ChartSeries[] = named.map((line) => ({ key: keyOf(line), label: `${line.host} ${line.series}`, colour: colour(line.tone) }));
  const paths = new Set(wanted.filter(isOfDevices).map(({ host, series }) => keyOf({ host, series: splitSeries(series)[0] })));
  const found = keys.filter((key) => {
    const { host, series } = lineOf(key);
    const [path, device] = splitSeries(series);
    return device !== undefined && paths.has(keyOf({ host, series: path })) && !named.some((line) => keyOf(line) === key);
  });
  const chosen = largest(found, Math.max(0, MOST_LINES - named.length), size);
  paint(chosen, colours, named.map(({ tone }) => tone % MOST_LINES));
  for (const key of chosen) {
    const { host, series: its } = lineOf(key);
    series.push({ key, label: `${host} ${its}`, colour: colour(colours.get(key) ?? 0) });
  }
  return { series, of: named.length + found.length };
}

/** Gives those that have no colour yet one that is free, and takes theirs from those that are not drawn any more. */
function paint(chosen: readonly string[], colours: Map<string, number>, others: readonly number[] = []): void {
  for (const key of colours.keys()) if (!chosen.includes(key)) colours.delete(key);
  const taken = new Set([...colours.values(), ...others]);
  let free = 0;
  for (const key of chosen) {
    if (colours.has(key)) continue;
    while (taken.has(free)) free += 1;
    taken.add(free);
    colours.set(key, free);
  }
}

/** Chooses lines of all there are; `colours` has the colours of those that were chosen before, and is brought up to date. */
export function chooseLargest(keys: readonly string[], size: Size, withMetric: boolean, colours: Map<string, number>): ChartSeries[] {
  const chosen = largest(keys, MOST_LINES, size);
  paint(chosen, colours);
  return chosen.map((key) => {
    const { host, series } = lineOf(key);
    const device = series.includes("@") ? ` ${series.split("@")[1]}` : "";
    return { key, label: withMetric ? `${host} ${series}` : host + device, colour: colour(colours.get(key) ?? 0) };
  });
}

/** What is said where not all are drawn; nothing where all are. */
export function saidOf(keys: readonly string[], drawn: number, of = keys.length): string | undefined {
  if (of <= drawn) return undefined;
  const hosts = new Set(keys.map((key) => lineOf(key).host));
  return `The ${drawn} largest of ${of} ${hosts.size === of ? "hosts" : "series"}`;
}
