/** The labels of a host, and who said each. */

import { type FormEvent, useState } from "react";
import { labelsOf, useChange, useList } from "../resource.ts";

/** See the file. */
export function Labels({ agentId, mayChange }: { agentId: string; mayChange: boolean }) {
  const { data, error } = useList(["labels", agentId], (client, options) => client.agents.labels(agentId, options));
  const { change, problem } = useChange();
  const [text, setText] = useState("");
  const labels = Object.entries(data?.labels ?? {});
  const add = async (event: FormEvent) => {
    event.preventDefault();
    if (await change((client) => client.agents.changeLabels(agentId, labelsOf(text)))) setText("");
  };
  return (
    <section className="ng-panel list" aria-label="Labels">
      <h2>Labels</h2>
      {error ? (
        <p className="ng-blank">{error.message}</p>
      ) : (
        <ul className="chips">
          {labels.map(([name, { value, origin }]) => (
            <li key={name} title={origin === "agent" ? "Said by the host's own configuration" : "Said on the server"}>
              {name}
              {value && `=${value}`} <span>{origin === "agent" ? "host" : "server"}</span>
              {mayChange && (
                <button type="button" aria-label={`Take away ${name}`} onClick={() => void change((client) => client.agents.changeLabels(agentId, { [name]: null }))}>
                  ×
                </button>
              )}
            </li>
          ))}
          {data && labels.length === 0 && <li className="none">none</li>}
        </ul>
      )}
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {mayChange && (
        <form className="toolbar" onSubmit={add} aria-label="Add labels">
          <label className="choice">
            <span>Labels</span>
            <input required placeholder="env=prod, rack=7" value={text} onChange={(event) => setText(event.target.value)} />
          </label>
          <button className="primary">Add</button>
        </form>
      )}
    </section>
  );
}
