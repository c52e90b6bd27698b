/** Hosts: adding one, their labels, and taking them out. */

import type { AddedAgent } from "@nodeglass/client";
import { ago } from "@nodeglass/react";
import { type FormEvent, useState } from "react";
import { Link } from "../shell/route.tsx";
import { List } from "./Table.tsx";
import { labelChanges, labelsOf, useChange, useList } from "./resource.ts";

/** Hosts in the list at most: as many as one answer has. */
const MOST = 10_000;
/** How often it is looked for a host that was just added. */
const WATCH_MS = 1_000;

function labelText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
}

/** See the file. */
export function Hosts() {
  const [added, setAdded] = useState<AddedAgent>();
  const { data, error } = useList(["agents"], (client, options) => client.agents.list({ limit: MOST }, options), added ? WATCH_MS : undefined);
  const { change, problem } = useChange();
  const [name, setName] = useState("");
  const [labels, setLabels] = useState("");
  const [editing, setEditing] = useState<{ id: string; labels: Record<string, string>; text: string }>();
  const add = async (event: FormEvent) => {
    event.preventDefault();
    const made = await change((client) => client.agents.add({ name, labels: labelsOf(labels) }));
    if (!made) return;
    setAdded(made);
    setName("");
  };
  const keep = async (event: FormEvent) => {
    event.preventDefault();
    if (!editing) return;
    const changes = labelChanges(editing.labels, labelsOf(editing.text));
    if (await change((client) => client.agents.changeLabels(editing.id, changes))) setEditing(undefined);
  };
  const revoke = (id: string) => confirm(`Revoke the key of ${id}? Its session ends at once. What is stored of it stays.`) && void change((client) => client.agents.revoke(id));
  const forget = (id: string) => confirm(`Forget ${id}, with all that is stored of it? This can't be undone.`) && void change((client) => client.agents.forget(id, "delete"));
  const arrived = added && data?.agents.find((agent) => agent.agent_id === added.agent_id && agent.status === "connected");
  return (
    <List
      title="hosts"
      head={["Host", "State", "Last sample", "Version", "Labels", ""]}
      error={error}
      problem={problem}
      isEmpty={data?.agents.length === 0}
      empty="No hosts yet: add one"
      tools={
        <>
          <form className="toolbar" onSubmit={add} aria-label="Add a host">
            <label className="choice">
              <span>Name</span>
              <input required pattern="[A-Za-z0-9][A-Za-z0-9._\-]{0,127}" placeholder="web-01" value={name} onChange={(event) => setName(event.target.value)} />
            </label>
            <label className="choice">
              <span>Labels</span>
              <input placeholder="env=prod, rack=7" value={labels} onChange={(event) => setLabels(event.target.value)} />
            </label>
            <button className="primary">Add a host</button>
          </form>
          {added && (
            <div className="made" role="status">
              {arrived ? (
                <p>
                  <b>{added.agent_id}</b> is here. <Link to={`/hosts/${encodeURIComponent(added.agent_id)}`}>Look at it</Link>
                </p>
              ) : (
                <>
                  <p>
                    On the host <b>{added.agent_id}</b>, within the hour. The string is good once:
                  </p>
                  <pre tabIndex={0}>
                    nodeglass-agent enroll {added.enrolment}
                    {"\n"}nodeglass-agent run
                  </pre>
                  <p className="facts">Waiting for its first session…</p>
                </>
              )}
              <button type="button" className="quiet small" onClick={() => setAdded(undefined)}>
                {arrived ? "Done" : "I have it"}
              </button>
            </div>
          )}
        </>
      }
    >
      {data?.agents.map((agent) => (
        <tr key={agent.agent_id}>
          <th scope="row">
            <Link to={`/hosts/${encodeURIComponent(agent.agent_id)}`}>{agent.agent_id}</Link>
          </th>
          <td>{agent.status}</td>
          <td>{ago(agent.last_metrics_update ?? undefined, Date.now())}</td>
          <td>{agent.version ?? "not seen yet"}</td>
          <td>
            {editing?.id === agent.agent_id ? (
              <form className="toolbar" onSubmit={keep} aria-label={`Labels of ${agent.agent_id}`}>
                <input aria-label="Labels" autoFocus value={editing.text} onChange={(event) => setEditing({ ...editing, text: event.target.value })} />
                <button className="primary small">Save</button>
                <button type="button" className="quiet small" onClick={() => setEditing(undefined)}>
                  Cancel
                </button>
              </form>
            ) : (
              <>
                {labelText(agent.labels)}{" "}
                <button type="button" className="quiet small" onClick={() => setEditing({ id: agent.agent_id, labels: agent.labels, text: labelText(agent.labels) })}>
                  Edit<span className="ng-sr"> labels of {agent.agent_id}</span>
                </button>
              </>
            )}
          </td>
          <td>
            <Link className="quiet small" to={`/manage/settings?host=${encodeURIComponent(agent.agent_id)}`}>
              Settings<span className="ng-sr"> of {agent.agent_id}</span>
            </Link>{" "}
            <button type="button" className="quiet small danger" onClick={() => revoke(agent.agent_id)}>
              Revoke<span className="ng-sr"> {agent.agent_id}</span>
            </button>{" "}
            <button type="button" className="quiet small danger" onClick={() => forget(agent.agent_id)}>
              Forget<span className="ng-sr"> {agent.agent_id}</span>
            </button>
          </td>
        </tr>
      ))}
    </List>
  );
}
