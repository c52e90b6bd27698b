/** Groups of metrics, each on or off: a shorter way to say what is left out. */

import { METRICS, type SettingsState } from "@nodeglass/client";
import { type Draft, entries, textOf } from "./keys.ts";

/** What programs of others send is not the agent's to leave out. */
const OF_OTHERS = new Set(["app", "custom", "collector"]);
const GROUPS = [...new Set(METRICS.map(({ path }) => path.split(".")[0] ?? path))].filter((group) => !OF_OTHERS.has(group));

function within(entry: string, group: string): boolean {
  return entry === group || entry.startsWith(`${group}.`);
}

/** See the file. What is said here stands in the fields of collected and left out metrics. */
export function MetricGroups({ state, draft, onChange }: { state: SettingsState; draft: Draft; onChange?: ((draft: Draft) => void) | undefined }) {
  const said = (key: "collected_metrics" | "exclude_metrics") => {
    const text = draft[key] === undefined ? textOf(state.own[key]) : draft[key];
    return text === null ? (state.wanted[key] ?? []) : entries(text);
  };
  const [collected, left] = [said("collected_metrics"), said("exclude_metrics")];
  // What the host's owner leaves out is in force without anybody asking for it.
  const owners = (state.in_force?.exclude_metrics ?? []).filter((entry) => !state.wanted.exclude_metrics?.includes(entry));
  const turn = (group: string, isOn: boolean) => {
    const out = left.filter((entry) => entry !== group);
    const changes: Draft = { exclude_metrics: (isOn ? out : [...out, group]).join(", ") };
    if (isOn && collected.length > 0 && !collected.some((entry) => within(entry, group))) changes.collected_metrics = [...collected, group].join(", ");
    onChange?.(changes);
  };
  return (
    <fieldset className="groups">
      <legend>Metrics</legend>
      {GROUPS.map((group) => {
        const isOwners = owners.includes(group);
        const isOn = !isOwners && !left.includes(group) && (collected.length === 0 || collected.some((entry) => within(entry, group)));
        return (
          <label key={group} className="check" title={isOwners ? "Left out by the host's own configuration" : undefined}>
            <input type="checkbox" checked={isOn} disabled={isOwners || !onChange} onChange={(event) => turn(group, event.target.checked)} />
            {group}
          </label>
        );
      })}
    </fieldset>
  );
}
