/** Which hosts are shown, in which order, under which headings. */

import { HEALTH } from "./health.ts";
import type { Host } from "./store.ts";

/** What hosts can be sorted by. */
export const SORTS = {
  worst: "Worst first",
  name: "Name",
  cpu: "CPU",
  memory: "Memory",
  disk: "Disk",
  network: "Network",
  load: "Load",
  gpu: "GPU",
  updated: "Last seen",
} as const;
export type Sort = keyof typeof SORTS;

/** What is shown: a heading, or a host. */
export type Row = { heading: string; count: number } | { host: Host };

/** What is asked for. */
export interface Arrangement {
  search: string;
  sort: Sort;
  /** The other way round. */
  isTurned: boolean;
  /** A label's name, or `health`, `prefix`; nothing for no groups. */
  group: string;
  /** Only those that stand so. */
  health: string;
}

const names = new Intl.Collator("en", { numeric: true });

function keyOf(host: Host, sort: Sort): number {
  const { figures } = host;
  switch (sort) {
    case "worst":
      return host.score;
    case "network":
      return (figures.received ?? 0) + (figures.sent ?? 0);
    case "updated":
      return host.updated ?? 0;
    case "name":
      return 0;
    default:
      return figures[sort] ?? -1;
  }
}

/** Whether a host has every word of a search: in its name, or as `label=value`. */
function finds(host: Host, words: readonly string[]): boolean {
  return words.every((word) => {
    if (host.id.toLowerCase().includes(word)) return true;
    const labels = Object.entries(host.labels);
    return labels.some(([name, value]) => `${name}=${value}`.toLowerCase().includes(word));
  });
}

function groupOf(host: Host, group: string): string {
  if (group === "health") return host.health;
  if (group === "prefix") return /^[A-Za-z]+/.exec(host.id)?.[0] ?? host.id;
  return host.labels[group] ?? "";
}

/** The rows of an arrangement. */
export function arrange(hosts: Iterable<Host>, wish: Arrangement): Row[] {
  const words = wish.search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [...hosts].filter((host) => finds(host, words) && (!wish.health || host.health === wish.health));
  const keys = new Map(found.map((host) => [host, keyOf(host, wish.sort)]));
  // Sorting by a figure that moves each second must not make rows dance: neighbours within a step stay by name.
  const coarse = wish.sort === "worst" ? 5 : wish.sort === "load" ? 0.1 : 1;
  const key = (host: Host) => Math.round((keys.get(host) ?? 0) / coarse);
  const turn = wish.isTurned ? -1 : 1;
  found.sort((one, other) => turn * (key(other) - key(one) || names.compare(one.id, other.id)));
  if (!wish.group) return found.map((host) => ({ host }));
  const groups = new Map<string, Host[]>();
  for (const host of found) {
    const name = groupOf(host, wish.group);
    const group = groups.get(name);
    if (group) group.push(host);
    else groups.set(name, [host]);
  }
  const order = [...groups.keys()].sort((one, other) =>
    wish.group === "health"
      ? HEALTH.indexOf(one as Host["health"]) - HEALTH.indexOf(other as Host["health"])
      : Number(one === "") - Number(other === "") || names.compare(one, other),
  );
  return order.flatMap((name): Row[] => {
    const group = groups.get(name) ?? [];
    return [{ heading: name || `no ${wish.group}`, count: group.length }, ...group.map((host) => ({ host }))];
  });
}
