/** A field for a metric's name, with the catalogue to choose from: metrics of devices put together, and each device by itself. */

import { METRICS } from "@nodeglass/client";
import { Fragment } from "react";

/** Metrics of processes and tasks have a series for each of them: no chart is made of those. */
const CHARTED = METRICS.filter((metric) => metric.device !== "process" && metric.device !== "task");

/** See the file. */
export function MetricField(props: { value: string; onChange: (value: string) => void; label?: string }) {
  return (
    <label className="choice wide">
      <span>{props.label ?? "Metric"}</span>
      <input list="metrics" required value={props.value} onChange={(event) => props.onChange(event.target.value)} />
      <datalist id="metrics">
        {CHARTED.map((metric) => (
          <Fragment key={metric.path}>
            <option value={metric.path}>{metric.description}</option>
            {metric.device && (
              <option value={`${metric.path}@*`}>
                Each {metric.device} by itself. {metric.description}
              </option>
            )}
          </Fragment>
        ))}
      </datalist>
    </label>
  );
}
