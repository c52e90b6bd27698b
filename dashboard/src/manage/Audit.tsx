/** What was changed, and what was denied. */

import type { AuditQuery } from "@nodeglass/client";
import { moment } from "@nodeglass/react";
import { useState } from "react";
import { useSettings } from "../shell/settings.ts";
import { List } from "./Table.tsx";
import { useList } from "./resource.ts";

const SHOWN = 200;

/** See the file. */
export function Audit() {
  const [outcome, setOutcome] = useState<AuditQuery["outcome"]>();
  const { data, error } = useList(["audit", outcome ?? "all"], (client, options) => client.audit.list({ limit: SHOWN, outcome }, options));
  const { utc } = useSettings();
  return (
    <List
      title="the audit log"
      head={["When", "Who", "From", "What", "To what", "Outcome", "More"]}
      error={error}
      isEmpty={data?.entries.length === 0}
      empty="Nothing yet"
      tools={
        <div className="toolbar">
          <label className="choice">
            <span>Outcome</span>
            <select value={outcome ?? ""} onChange={(event) => setOutcome((event.target.value || undefined) as AuditQuery["outcome"])}>
              <option value="">all</option>
              <option>done</option>
              <option>denied</option>
              <option>failed</option>
            </select>
          </label>
          {data && data.dropped > 0 && <p className="problem">{data.dropped} entries found no room</p>}
        </div>
      }
    >
      {data?.entries.map((entry) => (
        <tr key={entry.id}>
          <td>{moment(entry.at, utc)}</td>
          <th scope="row">{entry.name || entry.kind}</th>
          <td>{entry.address}</td>
          <td>
            {entry.action}
            {entry.count > 1 && ` × ${entry.count}`}
          </td>
          <td>{entry.subject}</td>
          <td className={entry.outcome === "done" ? undefined : "hot"}>{entry.outcome}</td>
          <td>{entry.detail}</td>
        </tr>
      ))}
    </List>
  );
}
