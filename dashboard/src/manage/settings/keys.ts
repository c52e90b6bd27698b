/** What can be asked of an agent, and how fields write it. What may be is the server's to say; fields only save a way there. */

import type { AgentSettings } from "@nodeglass/client";

/** A key of the settings. */
export type Key = keyof AgentSettings;
/** What stands in fields: its text, or null where it is left to others. */
export type Draft = Partial<Record<Key, string | null>>;

type Kind = "switch" | "seconds" | "count" | "list";

interface Setting {
  key: Key;
  name: string;
  kind: Kind;
  about: string;
  most?: number;
  /** What an empty list means. */
  empty?: string;
}

/** Every key, in the order of the page. */
export const SETTINGS: readonly Setting[] = [
  { key: "enabled", name: "Sampling", kind: "switch", about: "Whether to sample at all" },
  { key: "collection_interval_seconds", name: "Interval", kind: "seconds", about: "From one sample for the server to the next", most: 3_600 },
  { key: "local_interval_seconds", name: "Local interval", kind: "seconds", about: "From one sample for the host's own history to the next", most: 3_600 },
  { key: "top_processes", name: "Processes", kind: "count", about: "How many are shown for each of processor, memory, disk and GPU", most: 100 },
  { key: "collected_metrics", name: "Collected metrics", kind: "list", about: "Metrics or beginnings of their names", empty: "everything" },
  { key: "exclude_metrics", name: "Metrics left out", kind: "list", about: "Of those that are collected" },
  { key: "exclude_interfaces", name: "Interfaces left out", kind: "list", about: "Patterns such as veth*" },
  { key: "exclude_disks", name: "Disks left out", kind: "list", about: "Patterns such as loop*" },
  { key: "exclude_filesystems", name: "File systems left out", kind: "list", about: "Types such as tmpfs" },
  { key: "exclude_mounts", name: "Mount points left out", kind: "list", about: "Patterns such as /snap/*" },
];

/** A value as a field has it; null where nothing is said. */
export function textOf(value: AgentSettings[Key]): string | null {
  if (value === null || value === undefined) return null;
  return Array.isArray(value) ? value.join(", ") : typeof value === "boolean" ? (value ? "on" : "off") : String(value);
}

/** A value as people read it. */
export function shown({ kind, empty = "nothing" }: Setting, value: AgentSettings[Key]): string {
  const text = textOf(value);
  if (text === null) return "–";
  if (text === "") return empty;
  return kind === "seconds" ? `${text}\u202fs` : text;
}

/** Entries of a list as a field has it. */
export function entries(text: string): string[] {
  return text.split(/[,\n]/).map((entry) => entry.trim()).filter(Boolean);
}

function valueOf({ kind }: Setting, text: string | null): AgentSettings[Key] {
  if (text === null) return null;
  if (kind === "list") return entries(text);
  return kind === "switch" ? text === "on" : Number(text);
}

/** What a PATCH says for the fields that were changed. */
export function patchOf(draft: Draft): AgentSettings {
  const changed = SETTINGS.filter(({ key }) => draft[key] !== undefined);
  return Object.fromEntries(changed.map((setting) => [setting.key, valueOf(setting, draft[setting.key] ?? null)]));
}
