/**
 * A page of one's own: a chart by name, a whole host, and figures out of a hook. It stands inside of a provider:
 *
 *     const client = new NodeglassClient({ baseUrl: "https://monitor.example.org:7080/api/v1", token: "ngt_..." });
 *     <NodeglassProvider client={client}><Page agentId="web-01" /></NodeglassProvider>
 */

import { AgentMetricsDashboard, CpuUsageChart, MemoryUsageChart, show, useAgents, useMetricsStream } from "../src/index.ts";

function Names() {
  const { data } = useAgents({ metrics: ["cpu.usage_percent"] });
  return (
    <ul>
      {data?.agents.map((agent) => (
        <li key={agent.agent_id}>
          {agent.agent_id} {show(agent.metrics?.cpu?.usage_percent, "%")}
        </li>
      ))}
    </ul>
  );
}

/** A chart that is fed by hand, as the specification has it. */
function Memory({ agentId }: { agentId: string }) {
  const { sample } = useMetricsStream(agentId, { interval: 5 });
  return <MemoryUsageChart metrics={sample?.memory} />;
}

/** See the file. */
export function Page({ agentId }: { agentId: string }) {
  return (
    <>
      <Names />
      <Memory agentId={agentId} />
      <CpuUsageChart agentId={agentId} span={{ last: 3_600_000 }} />
      <AgentMetricsDashboard agentId={agentId} />
    </>
  );
}
