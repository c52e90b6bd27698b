/** A page with one component of the package, as its address says: `?show=CpuUsageChart&agent=web-01&from=...&to=...`. */

import { NodeglassClient } from "@nodeglass/client";
import { useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { Page } from "../../examples/page.tsx";
import * as components from "../../src/index.ts";
import "../../src/styles.css";

const asked = new URLSearchParams(location.search);
const name = asked.get("show") ?? "";
const agentId = asked.get("agent") ?? "";
const span = asked.has("from") ? { from: Number(asked.get("from")), to: Number(asked.get("to")) } : { last: 60_000 };
const client = new NodeglassClient({ token: asked.get("token") ?? "" });

/** The charts that are fed by hand, from a stream. */
function Given({ agentId }: { agentId: string }) {
  const { sample } = components.useMetricsStream(agentId, { interval: 1 });
  return (
    <>
      <output>{sample ? JSON.stringify(sample) : ""}</output>
      <components.CpuUsageChart metrics={sample?.cpu} />
      <components.MemoryUsageChart metrics={sample?.memory} />
      <components.DiskUsageChart metrics={sample?.disks} />
    </>
  );
}

/** A chart that is handed a thousand bytes more with each click. */
function Counted() {
  const [used_bytes, use] = useState(8_000_000_000);
  return (
    <>
      <button type="button" onClick={() => use((before) => before + 1_000)}>
        More
      </button>
      <components.MemoryUsageChart metrics={useMemo(() => ({ used_bytes }), [used_bytes])} />
    </>
  );
}

/** A card that is handed what it shows. */
function Card({ agentId }: { agentId: string }) {
  const { data } = components.useSystemInfo(agentId);
  return <components.SystemInfoCard info={data ?? null} />;
}

const shown: Record<string, React.ComponentType<{ agentId: string; span: components.Span }>> = {
  ...components,
  Page,
  Given,
  Counted,
  Card,
} as never;
const Shown = shown[name];
const root = document.getElementById("root");
if (!root || !Shown) throw new Error(`there is no component ${name}`);
createRoot(root).render(
  <components.NodeglassProvider client={client}>
    <Shown agentId={agentId} span={span} />
  </components.NodeglassProvider>,
);
