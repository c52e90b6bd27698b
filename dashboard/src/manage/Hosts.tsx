/** Hosts: adding one, their labels, and taking them out. */

import type { AddedAgent } from "@nodeglass/client";
import { ago } from "@nodeglass/react";
import { type FormEvent, useMemo, useState } from "react";
import { Copy } from "../shell/Copy.tsx";
import { Link, setQuery, useRoute } from "../shell/route.tsx";
import { List } from "./Table.tsx";
import { labelChanges, labelsOf, useChange, useList } from "./resource.ts";
import { Rows } from "./rows.tsx";

/** Hosts in the list at most: as many as one answer has. */
const MOST = 10_000;
/** By name, and `web-2` before `web-10`. */
const names = new Intl.Collator("en", { numeric: true });
const HEAD = ["Host", "State", "Last sample", "Version", "Labels", ""];
/** The height of a row, about. */
const ROW_PX = 45;
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
  const search = useRoute().query.get("q") ?? "";
  const sought = search.toLowerCase().split(/\s+/).filter(Boolean);
  const inOrder = useMemo(() => data && [...data.agents].sort((one, other) => names.compare(one.agent_id, other.agent_id)), [data]);
  const found = inOrder?.filter(({ agent_id: id, labels }) => sought.every((word) => `${id} ${labelText(labels)}`.toLowerCase().includes(word)));
  const arrived = added && data?.agents.find((agent) => agent.agent_id === added.agent_id && agent.status === "connected");
  return (
    <List
      title="hosts"
      head={HEAD}
      rows={found?.length}
      error={error}
      problem={problem}
      isEmpty={found?.length === 0}
      empty={search ? "No host fits" : "No hosts yet: add one"}
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
          <div className="toolbar" role="search">
            <label className="choice">
              <span>Find</span>
              <input type="search" placeholder="name or label=value" value={search} onChange={(event) => setQuery({ q: event.target.value })} />
            </label>
            {data && found && (
              <p className="facts">
                {found.length === data.agents.length ? data.agents.length : `${found.length} of ${data.agents.length}`} {data.agents.length === 1 ? "host" : "hosts"}
              </p>
            )}
          </div>
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
                  <Copy what="the commands" text={`nodeglass-agent enroll ${added.enrolment}\nnodeglass-agent run`} />
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
      <Rows
        all={found ?? []}
        columns={HEAD.length}
        heightPx={ROW_PX}
        keyOf={(agent) => agent.agent_id}
        row={(agent, drawn) => (
          <tr key={agent.agent_id} {...drawn}>
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
        )}
      />
    </List>
  );
}
