/** What a host is, as a list of terms. */

import type { SystemInfo } from "@nodeglass/client";
import { useSystemInfo } from "../hooks.ts";
import { duration, show } from "../units.ts";

/** Of a host (`agentId`), or of what is handed in (`info`). */
export function SystemInfoCard({ agentId, info }: { agentId?: string; info?: SystemInfo | null }) {
  return agentId !== undefined && !info ? <Asked agentId={agentId} /> : <Card info={info ?? undefined} />;
}

function Asked({ agentId }: { agentId: string }) {
  const { data, error } = useSystemInfo(agentId);
  return <Card info={data} error={error} />;
}

function Card({ info, error }: { info: SystemInfo | undefined; error?: Error | null }) {
  return (
    <section className="ng-panel ng-system" aria-label="System">
      <header>
        <h2>System</h2>
      </header>
      {info ? <Terms info={info} /> : <p className="ng-blank">{error ? error.message : "Asking the host…"}</p>}
    </section>
  );
}

function Terms({ info }: { info: SystemInfo }) {
  const { hardware, software } = info;
  const cpu = hardware?.cpu;
  const uptime = software?.uptime_seconds;
  const rows: [string, string | undefined][] = [
    ["System", software?.os.version ?? software?.os.name],
    ["Kernel", [software?.os.kernel_version, hardware?.architecture].filter(Boolean).join(" · ")],
    ["Processor", cpu && `${cpu.model}, ${plural(cpu.cores, "core")}, ${plural(cpu.threads, "thread")}`],
    ["Memory", show(hardware?.memory.total_bytes, "bytes")],
    ...(hardware?.disks ?? []).map((disk): [string, string] => [
      disk.mount_point ?? disk.device,
      [show(disk.total_bytes, "bytes"), disk.filesystem, disk.device].filter(Boolean).join(" · "),
    ]),
    ...(info.network_interfaces ?? [])
      .filter((one) => one.is_up && (one.ip_addresses?.length ?? 0) > 0 && one.name !== "lo")
      .map((one): [string, string] => [one.name, (one.ip_addresses ?? []).filter((ip) => !ip.startsWith("fe80")).join(", ")]),
    ["Up for", uptime === undefined || uptime === null ? undefined : duration(uptime * 1000 + Math.max(0, Date.now() - info.timestamp))],
  ];
  return (
    <dl>
      {rows.map(([term, text], at) =>
        text ? (
          <div key={`${term} ${at}`}>
            <dt>{term}</dt>
            <dd>{text}</dd>
          </div>
        ) : null,
      )}
    </dl>
  );
}

function plural(count: number | undefined, word: string): string {
  return `${count ?? "?"} ${word}${count === 1 ? "" : "s"}`;
}
