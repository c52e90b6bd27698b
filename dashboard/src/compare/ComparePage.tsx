/** Any metrics of any hosts in one chart. */

import { metricOf } from "@nodeglass/client";
import { ChartViewProvider, Cursor, type ShownUnit, type Span, colour, useAgents } from "@nodeglass/react";
import { type FormEvent, useEffect, useMemo, useState } from "react";
import { FleetChart, unitOf } from "../charts/FleetChart.tsx";
import { MetricField } from "../charts/MetricField.tsx";
import { type Line, MOST_LINES, isOfDevices, keyOf } from "../charts/lines.ts";
import { TimeBar } from "../host/TimeBar.tsx";
import { showSpan } from "../host/moves.ts";
import { readSpan } from "../host/span.ts";
import { setQuery, useRoute } from "../shell/route.tsx";
import { useSettings } from "../shell/settings.ts";

/** Lines as they stand in the address: `host:series` after `host:series`. */
function readLines(query: URLSearchParams): Line[] {
  return (query.get("lines") ?? "")
    .split("~")
    .filter(Boolean)
    .map((text) => {
      const colon = text.indexOf(":");
      return { host: text.slice(0, colon), series: text.slice(colon + 1) };
    })
    .filter((line) => line.host && metricOf(line.series.split("@")[0] ?? ""));
}

/** What stands for several lines has several colours. */
const SEVERAL = `conic-gradient(${[0, 1, 2].map((at) => `var(${colour(at)}) ${at * 120}deg ${(at + 1) * 120}deg`).join(", ")})`;

function write(lines: readonly Line[]): void {
  setQuery({ lines: lines.map(keyOf).join("~") }, false);
}

/** See the file. */
export default function ComparePage() {
  const { query } = useRoute();
  const { utc, shown: theme } = useSettings();
  const { span, name, last } = readSpan(query);
  const lines = useMemo(() => readLines(query), [query]);
  const cursor = useMemo(() => new Cursor(), []);
  const view = useMemo(
    () => ({ group: "compare", cursor, utc, theme, onZoom: (from: number, to: number) => showSpan(from, to) }),
    [cursor, utc, theme],
  );
  useEffect(() => {
    document.title = "Compare · Nodeglass";
  }, []);
  const units = [...new Set(lines.map((line) => unitOf(line.series)))];
  return (
    <main className="compare">
      <div className="headline">
        <h1>Compare</h1>
        <p className="facts">Any metrics of any hosts on one axis. The address holds it all: send it to a colleague.</p>
      </div>
      <Chooser lines={lines} />
      <TimeBar span={span} name={name} utc={utc} cursor={cursor} isFlowing last={last} />
      <ChartViewProvider value={view}>
        {lines.length === 0 ? (
          <p className="blank">Choose a host and a metric above.</p>
        ) : (
          units.map((unit) => <Chart key={unit} unit={unit} lines={lines} span={span} />)
        )}
      </ChartViewProvider>
    </main>
  );
}

/** The lines of one unit: others have an axis of their own below. */
function Chart({ unit, lines, span }: { unit: ShownUnit; lines: readonly Line[]; span: Span }) {
  const shown = lines.map((line, tone) => ({ ...line, tone })).filter((line) => unitOf(line.series) === unit);
  return (
    <section className="ng-panel" aria-label={`Lines in ${unit}`}>
      <FleetChart
        agents={[...new Set(shown.map(({ host }) => host))]}
        metrics={[...new Set(shown.map(({ series }) => series))]}
        unit={unit}
        span={span}
        height={300}
        lines={shown}
        title={`${shown.map(({ host, series }) => `${host} ${series}`).join(", ")} over time`}
      />
    </section>
  );
}

function Chooser({ lines }: { lines: readonly Line[] }) {
  const agents = useAgents({}, 30_000).data?.agents ?? [];
  const [hosts, setHosts] = useState("");
  const [series, setSeries] = useState("cpu.usage_percent");
  const [problem, setProblem] = useState<string>();
  const add = (event: FormEvent) => {
    event.preventDefault();
    const pattern = new RegExp(`^${hosts.trim().replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`);
    const found = agents.map((agent) => agent.agent_id).filter((id) => pattern.test(id));
    if (found.length === 0) return setProblem(`No host is called ${hosts}.`);
    if (!metricOf(series.split("@")[0] ?? "")) return setProblem(`There is no metric ${series}.`);
    const fresh = found.map((host) => ({ host, series })).filter((line) => !lines.some((one) => one.host === line.host && one.series === line.series));
    if (lines.length + fresh.length > MOST_LINES) return setProblem(`At most ${MOST_LINES} lines can be told apart.`);
    setProblem(undefined);
    write([...lines, ...fresh]);
  };
  return (
    <form className="toolbar chooser" onSubmit={add}>
      <label className="choice">
        <span>Host</span>
        <input list="hosts" required placeholder="web-* or a name" value={hosts} onChange={(event) => setHosts(event.target.value)} />
        <datalist id="hosts">
          {agents.map((agent) => (
            <option key={agent.agent_id} value={agent.agent_id} />
          ))}
        </datalist>
      </label>
      <MetricField value={series} onChange={setSeries} />
      <button className="primary">Add</button>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <ul className="chips" aria-label="Lines">
        {lines.map((line, at) => (
          <li key={`${line.host} ${line.series}`}>
            <i style={{ background: isOfDevices(line) ? SEVERAL : `var(${colour(at)})` }} />
            {line.host} <span>{line.series}</span>
            <button type="button" onClick={() => write(lines.filter((one) => one !== line))} aria-label={`Remove ${line.host} ${line.series}`}>
              ×
            </button>
          </li>
        ))}
      </ul>
    </form>
  );
}
