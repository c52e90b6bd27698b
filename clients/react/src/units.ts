/** Figures as people read them: GiB, Mbit/s, %, and the exact value beside it where it is asked for. */

import type { Unit } from "@nodeglass/client";

/** The units of metrics, and bits per second, in which people think of networks. */
export type ShownUnit = Unit | "bit/s" | "";

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL = ["", "k", "M", "G", "T"];
/** A thin space: figure and unit stay together. */
const THIN = "\u202f";

/** Three significant digits, without zeros that say nothing. */
function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 100 || size === 0) return value.toFixed(0);
  return value.toFixed(size >= 10 ? 1 : size >= 0.1 ? 2 : 3).replace(/\.?0+$/, "");
}

function scaled(value: number, base: number, names: readonly string[]): [number, string] {
  let unit = 0;
  let rest = value;
  // Just below the next unit counts as it: 1023.6 KiB would read as 1024 KiB.
  while (Math.abs(rest) >= base - 0.5 && unit + 1 < names.length) {
    rest /= base;
    unit += 1;
  }
  return [rest, names[unit] ?? ""];
}

/** A value with its unit; a dash where there is none. */
export function show(value: number | null | undefined, unit: ShownUnit): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  switch (unit) {
    case "%":
    case "% of a core":
      return `${percent(value)}${THIN}%`;
    case "bytes":
    case "bytes/s": {
      const [rest, name] = scaled(value, 1024, BINARY);
      return `${digits(rest)}${THIN}${name}${unit === "bytes" ? "" : "/s"}`;
    }
    case "bit/s": {
      const [rest, name] = scaled(value * 8, 1000, DECIMAL);
      return `${digits(rest)}${THIN}${name}bit/s`;
    }
    case "1/s":
      return `${short(value)}${THIN}/s`;
    case "s":
      return duration(value * 1000);
    case "ms":
      return value >= 1000 ? duration(value) : `${digits(value)}${THIN}ms`;
    case "1/min":
      return `${value.toFixed(0)}${THIN}rpm`;
    case "°C":
    case "W":
      return `${value.toFixed(1)}${THIN}${unit}`;
    case "MHz":
      return value >= 1000 ? `${(value / 1000).toFixed(2)}${THIN}GHz` : `${value.toFixed(0)}${THIN}MHz`;
    case "cores":
      return `${digits(value)}${THIN}cores`;
    case "tasks":
      return value.toFixed(2);
    default:
      return short(value);
  }
}

/** As [`show`], as short as an axis wants it: round figures have no digits after the point. */
export function tick(value: number, unit: ShownUnit): string {
  if (unit === "%" || unit === "% of a core") return `${digits(value)}${THIN}%`;
  if (unit === "tasks" || unit === "cores" || unit === "°C" || unit === "W")
    return `${digits(value)}${unit === "tasks" || unit === "cores" ? "" : THIN + unit}`;
  return show(value, unit);
}

/** Made once: to make one takes many times as long as to use it, and legends do with each frame. */
const EXACT = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });

/** As [`show`], with every digit and the unit in full: for titles. */
export function exact(value: number | null | undefined, unit: ShownUnit): string {
  if (value === null || value === undefined) return "not known";
  const [number, name] = unit === "bit/s" ? [value * 8, "bit/s"] : [value, unit];
  return `${EXACT.format(number)} ${name}`.trim();
}

function percent(value: number): string {
  return value >= 99.95 || value === 0 ? value.toFixed(0) : value.toFixed(1);
}

function short(value: number): string {
  const [rest, name] = scaled(value, 1000, DECIMAL);
  return digits(rest) + name;
}

/** How wide figures of a unit are, about, in widths of a digit: with so much room for each, what stands beside them does not move. */
export function figureWidth(unit: ShownUnit): number {
  switch (unit) {
    case "bytes/s":
    case "bit/s":
    case "s":
    case "ms":
      return 9;
    case "bytes":
    case "1/min":
    case "MHz":
    case "cores":
      return 7.5;
    case "% of a core":
    case "1/s":
    case "°C":
    case "W":
      return 6.5;
    default:
      return 5.2;
  }
}

/** `3 d 4 h`, `12 min`, `8.2 s`. */
export function duration(ms: number): string {
  const s = Math.abs(ms) / 1000;
  if (s < 1) return `${Math.round(s * 1000)}${THIN}ms`;
  if (s < 60) return `${digits(s)}${THIN}s`;
  const steps: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ];
  for (const [at, [size, name]] of steps.entries()) {
    if (s < size) continue;
    const whole = Math.floor(s / size);
    const [next, nextName] = steps[at + 1] ?? [1, "s"];
    const rest = Math.floor((s - whole * size) / next);
    return rest > 0 && whole < 10 ? `${whole}${THIN}${name} ${rest}${THIN}${nextName}` : `${whole}${THIN}${name}`;
  }
  return "0 s";
}

/** How long ago something was: `just now`, `12 s ago`. */
export function ago(at: number | null | undefined, now: number): string {
  if (at === null || at === undefined) return "never";
  const ms = now - at;
  return ms < 3_000 ? "just now" : `${duration(ms < 60_000 ? Math.round(ms / 1000) * 1000 : ms)} ago`;
}

/** A moment in full, in local time or UTC. */
export function moment(at: number, utc: boolean, withDay = true): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  const [y, mo, d, h, mi, s] = utc
    ? [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
    : [date.getFullYear(), date.getMonth(), date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
  const time = `${two(h)}:${two(mi)}:${two(s)}`;
  return withDay ? `${y}-${two(mo + 1)}-${two(d)} ${time}${utc ? " UTC" : ""}` : time;
}

/** Steps of a value axis that are whole in the unit people read. */
export function increments(unit: ShownUnit): number[] {
  const steps: number[] = [];
  if (unit === "bytes" || unit === "bytes/s") {
    for (let power = 0; power < 6; power++)
      for (const factor of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]) steps.push(factor * 1024 ** power);
  } else {
    const scale = unit === "bit/s" ? 1 / 8 : 1;
    for (let power = unit === "bit/s" ? 0 : -3; power < 15; power++)
      for (const factor of [1, 2, 5]) steps.push(factor * 10 ** power * scale);
  }
  return steps;
}
