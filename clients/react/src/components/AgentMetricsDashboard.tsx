/** A host in one component: what it is, and its charts, live. */

import { type Span, useMetricsStream } from "../hooks.ts";
import { panel } from "../panels.ts";
import { SystemInfoCard } from "./SystemInfoCard.tsx";
import { QUARTER_HOUR, TimePanel } from "./TimePanel.tsx";

const SHOWN = ["cpu", "memory", "disk-space", "disk-throughput", "network", "load"].map(panel);

/** See the file. */
export function AgentMetricsDashboard({ agentId, span = QUARTER_HOUR }: { agentId: string; span?: Span }) {
  const { state, error } = useMetricsStream(agentId);
  return (
    <div className="ng-dashboard">
      {state === "waiting" || state === "ended" ? (
        <p role="status" className="ng-note">
          {state === "waiting" ? "The connection broke; trying again." : error instanceof Error ? error.message : "The stream ended."}
        </p>
      ) : null}
      <SystemInfoCard agentId={agentId} />
      {SHOWN.map((one) => (
        <TimePanel key={one.id} agentId={agentId} panel={one} span={span} />
      ))}
    </div>
  );
}
