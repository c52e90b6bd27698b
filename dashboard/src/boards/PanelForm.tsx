/** A panel to add to a dashboard. */

import { metricOf } from "@nodeglass/client";
import { type FormEvent, useState } from "react";
import { MetricField } from "../charts/MetricField.tsx";
import type { BoardPanel } from "./board.ts";

/** See the file. */
export function PanelForm({ onAdd }: { onAdd: (panel: BoardPanel) => void }) {
  const [title, setTitle] = useState("");
  const [kind, setKind] = useState<BoardPanel["kind"]>("chart");
  const [hosts, setHosts] = useState("*");
  const [metric, setMetric] = useState("cpu.usage_percent");
  const [problem, setProblem] = useState<string>();
  const add = (event: FormEvent) => {
    event.preventDefault();
    const known = metricOf(metric.split("@")[0] ?? "");
    if (!known) return setProblem(`There is no metric ${metric}.`);
    setProblem(undefined);
    const named = hosts.split(/[\s,]+/).filter(Boolean);
    onAdd({ title: title.trim() || known.path, kind, hosts: named, metrics: [metric], width: kind === "chart" ? 2 : 1 });
    setTitle("");
  };
  return (
    <form className="toolbar" onSubmit={add} aria-label="Add a panel">
      <label className="choice">
        <span>Panel</span>
        <select value={kind} onChange={(event) => setKind(event.target.value as BoardPanel["kind"])}>
          <option value="chart">Chart</option>
          <option value="top">Who has most</option>
        </select>
      </label>
      <label className="choice">
        <span>Title</span>
        <input value={title} maxLength={80} placeholder="as the metric" onChange={(event) => setTitle(event.target.value)} />
      </label>
      <label className="choice">
        <span>Hosts</span>
        <input value={hosts} required placeholder="web-*, db-1" onChange={(event) => setHosts(event.target.value)} />
      </label>
      <MetricField value={metric} onChange={setMetric} />
      <button className="primary">Add panel</button>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
