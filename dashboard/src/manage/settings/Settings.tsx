/** What a host is asked to do, and what is in force there; changed while it runs. */

import type { NodeglassClient, SettingsState } from "@nodeglass/client";
import { type FormEvent, useState } from "react";
import { setQuery, useRoute } from "../../shell/route.tsx";
import { mayChange, useMe } from "../../shell/session.ts";
import { useChange, useList } from "../resource.ts";
import { Labels } from "./Labels.tsx";
import { MetricGroups } from "./MetricGroups.tsx";
import { SettingRow } from "./SettingRow.tsx";
import { type Draft, SETTINGS, patchOf, textOf } from "./keys.ts";

/** What is in force is looked at so often: others may change it, and a host may come back. */
const WATCH_MS = 2_000;
/** Hosts that the field suggests at most. */
const MOST = 10_000;

/** See the file. */
export function Settings() {
  const { query } = useRoute();
  const { data, error } = useList(["agents"], (client, options) => client.agents.list({ limit: MOST }, options));
  const host = query.get("host") ?? data?.agents[0]?.agent_id;
  const isAway = data?.agents.find((agent) => agent.agent_id === host)?.status === "disconnected";
  if (!host) return <p className="blank">{error ? error.message : data ? "No hosts yet" : ""}</p>;
  return (
    <>
      <HostField key={`field ${host}`} host={host} hosts={data?.agents.map((agent) => agent.agent_id) ?? []} />
      <SettingsOf key={host} agentId={host} isAway={isAway} />
    </>
  );
}

/** Which host; a name that is chosen or typed to its end is shown at once. */
function HostField({ host, hosts }: { host: string; hosts: string[] }) {
  const [text, setText] = useState(host);
  const show = (name: string) => name && setQuery({ host: name }, false);
  return (
    <form
      className="toolbar"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        show(text.trim());
      }}
    >
      <label className="choice">
        <span>Host</span>
        <input
          list="hosts"
          required
          spellCheck={false}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            if (hosts.includes(event.target.value)) show(event.target.value);
          }}
        />
      </label>
      <datalist id="hosts">
        {hosts.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <button className="quiet">Show</button>
    </form>
  );
}

function SettingsOf({ agentId, isAway }: { agentId: string; isAway: boolean }) {
  const { data, error } = useList(["settings", agentId], (client, options) => client.agents.settings(agentId, options), WATCH_MS);
  const { change, problem } = useChange();
  const isChangeable = mayChange(useMe());
  const [draft, setDraft] = useState<Draft>({});
  const [isSaving, setSaving] = useState(false);
  const say = (changes: Draft) => setDraft((before) => ({ ...before, ...changes }));
  const send = async (make: (client: NodeglassClient) => Promise<SettingsState>) => {
    setSaving(true);
    if (await change(make)) setDraft({});
    setSaving(false);
  };
  const save = (event: FormEvent) => {
    event.preventDefault();
    void send((client) => client.agents.changeSettings(agentId, patchOf(draft)));
  };
  const reset = () => confirm(`Ask nothing of ${agentId} alone? Its groups and its own configuration say what it does.`) && void send((client) => client.agents.setSettings(agentId, {}));
  if (!data) return <p className="blank">{error?.message}</p>;
  const isChanged = Object.keys(draft).length > 0;
  return (
    <>
      <section className="ng-panel list" aria-label="Settings">
        <form onSubmit={save} aria-label={`Settings of ${agentId}`}>
          <div className="toolbar">
            <h2>Settings of {agentId}</h2>
            <span role="status">
              <Standing state={data} isAway={isAway} isSaving={isSaving} />
            </span>
          </div>
          {problem && (
            <p className="problem" role="alert">
              {problem}
            </p>
          )}
          <MetricGroups state={data} draft={draft} onChange={isChangeable ? say : undefined} />
          <div className="scroll" role="region" aria-label="List of settings" tabIndex={0}>
            <table className="settings">
              <thead>
                <tr>
                  {["Setting", "In force", "Asked for by", "Of this host alone"].map((name) => (
                    <th key={name} scope="col">
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {SETTINGS.map((setting) => {
                  const changed = draft[setting.key];
                  return (
                    <SettingRow
                      key={setting.key}
                      setting={setting}
                      state={data}
                      text={changed === undefined ? textOf(data.own[setting.key]) : changed}
                      isChanged={changed !== undefined}
                      isWrong={problem?.includes(setting.key) ?? false}
                      onChange={isChangeable ? (text) => say({ [setting.key]: text }) : undefined}
                    />
                  );
                })}
              </tbody>
            </table>
          </div>
          {isChangeable && (
            <div className="toolbar">
              <button className="primary" disabled={!isChanged || isSaving}>
                {isSaving ? "Asking the host…" : "Save"}
              </button>
              <button type="button" className="quiet" disabled={!isChanged || isSaving} onClick={() => setDraft({})}>
                Discard
              </button>
              <button type="button" className="quiet danger" disabled={isSaving || Object.values(data.own).every((value) => value === null)} onClick={reset}>
                Leave all to others
              </button>
            </div>
          )}
        </form>
      </section>
      <Labels agentId={agentId} mayChange={isChangeable} />
    </>
  );
}

/** How what is wanted and what is in force stand to each other. */
function Standing({ state, isAway, isSaving }: { state: SettingsState; isAway: boolean; isSaving: boolean }) {
  if (isSaving) return <span className="pill">asking the host…</span>;
  if (state.applied && state.problems.length === 0) return <span className="pill ok">in force</span>;
  if (state.applied) return <span className="pill warm">in force but for what the host refused</span>;
  return <span className="pill warm">{isAway ? "the host is away: it is asked when it comes back" : state.in_force ? "not in force yet" : "the host never said what is in force"}</span>;
}
