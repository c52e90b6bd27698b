/** One dashboard: its panels over one span of time, and a way to change them. */

import { ApiError } from "@nodeglass/client";
import { ChartViewProvider, Cursor, type Span, duration, exact, show, useClient, words } from "@nodeglass/react";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { FleetChart, unitOf } from "../charts/FleetChart.tsx";
import { TimeBar } from "../host/TimeBar.tsx";
import { showSpan } from "../host/moves.ts";
import { readSpan } from "../host/span.ts";
import { Icon } from "../shell/Frame.tsx";
import { Link, go, hostPath, useRoute } from "../shell/route.tsx";
import { mayChange, useMe } from "../shell/session.ts";
import { useSettings } from "../shell/settings.ts";
import { PanelForm } from "./PanelForm.tsx";
import { type Board, type BoardPanel, readBoard, removeBoard, saveBoard } from "./board.ts";

const HEIGHT_PX = 190;
/** Hosts in a list of those who have most. */
const FIRST = 8;
const REFRESH_MS = 5_000;
/** Over a long span a list changes slower: so many times in it, it is looked at anew. */
const STEPS = 300;

/** See the file. */
export default function BoardPage({ id }: { id: string }) {
  const client = useClient();
  const isChangeable = mayChange(useMe());
  const queries = useQueryClient();
  const { query } = useRoute();
  const { utc, shown: theme } = useSettings();
  const { span, name: range, last } = readSpan(query);
  const { data, error } = useQuery({ queryKey: ["board", id], queryFn: ({ signal }) => readBoard(client, id, signal) });
  const [draft, setDraft] = useState<Board>();
  const [problem, setProblem] = useState<string>();
  const cursor = useMemo(() => new Cursor(), []);
  const view = useMemo(
    () => ({ group: `board ${id}`, cursor, utc, theme, onZoom: (from: number, to: number) => showSpan(from, to) }),
    [id, cursor, utc, theme],
  );
  const board = draft ?? data;
  useEffect(() => {
    document.title = `${board?.name ?? "Dashboard"} · Nodeglass`;
  }, [board?.name]);
  if (error instanceof ApiError && error.status === 404)
    return (
      <main className="nothing">
        <h1>There is no such dashboard</h1>
        <p>
          Somebody may have removed it. <Link to="/boards">All dashboards</Link>
        </p>
      </main>
    );
  if (!board) return <main className="boards">{error && <p className="blank">{words(error)}</p>}</main>;

  const change = (panels: BoardPanel[]) => setDraft({ ...board, content: { panels } });
  const save = async () => {
    try {
      await saveBoard(client, board);
      await queries.invalidateQueries({ queryKey: ["board", id] });
      await queries.invalidateQueries({ queryKey: ["boards"] });
      setDraft(undefined);
      setProblem(undefined);
    } catch (failure) {
      setProblem(words(failure));
    }
  };
  const remove = async () => {
    if (!confirm(`Remove the dashboard ${board.name} for everybody?`)) return;
    try {
      await removeBoard(client, id);
      await queries.invalidateQueries({ queryKey: ["boards"] });
      go("/boards");
    } catch (failure) {
      setProblem(words(failure));
    }
  };
  const { panels } = board.content;
  return (
    <main className="boards">
      <div className="headline">
        <nav aria-label="Where this is">
          <Link to="/boards">Dashboards</Link> <span aria-hidden="true">/</span>
        </nav>
        <h1>{board.name}</h1>
        <div className="actions">
          {draft ? (
            <>
              <button type="button" className="primary" onClick={save}>
                Save
              </button>
              <button type="button" className="quiet" onClick={() => setDraft(undefined)}>
                Discard
              </button>
              <button type="button" className="quiet danger" onClick={remove}>
                Remove dashboard
              </button>
            </>
          ) : (
            <>
              {isChangeable && (
                <button type="button" className="quiet" onClick={() => data && setDraft(data)}>
                  Edit
                </button>
              )}
              <button type="button" className="quiet" onClick={() => download(board)}>
                Export JSON
              </button>
            </>
          )}
        </div>
      </div>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {draft && (
        <>
          <label className="choice">
            <span>Name</span>
            <input value={draft.name} maxLength={80} onChange={(event) => setDraft({ ...draft, name: event.target.value })} />
          </label>
          <PanelForm onAdd={(panel) => change([...panels, panel])} />
        </>
      )}
      <TimeBar span={span} name={range} utc={utc} cursor={cursor} isFlowing last={last} />
      <ChartViewProvider value={view}>
        <div className="board-grid">
          {panels.map((panel, at) => (
            <section key={`${at} ${panel.title}`} className={`ng-panel width-${panel.width}`} aria-label={panel.title}>
              <header>
                <h2>{panel.title}</h2>
                <small className="ng-note">{noteOf(panel, span)}</small>
                {draft && <Handles at={at} panels={panels} onChange={change} />}
              </header>
              {panel.kind === "chart" ? <Lines panel={panel} span={span} /> : <Most panel={panel} span={span} />}
            </section>
          ))}
        </div>
        {panels.length === 0 && <p className="blank">No panels yet. {draft ? "Add one above." : isChangeable ? "Choose Edit to add one." : ""}</p>}
      </ChartViewProvider>
    </main>
  );
}

function Lines({ panel, span }: { panel: BoardPanel; span: Span }) {
  return (
    <FleetChart
      agents={panel.hosts}
      metrics={panel.metrics}
      unit={unitOf(panel.metrics[0] ?? "")}
      span={span}
      height={HEIGHT_PX}
      title={`${panel.title}: ${panel.metrics.join(", ")}`}
    />
  );
}

/** What a panel is about; a list of those who have most is made of the whole span. */
function noteOf({ kind, metrics }: BoardPanel, span: Span): string {
  if (kind === "chart") return metrics.join(", ");
  return `${metrics[0] ?? ""}, ${"last" in span ? `last ${duration(span.last)}` : "this span"}`;
}

/** Who had most of a metric over the span. */
function Most({ panel, span }: { panel: BoardPanel; span: Span }) {
  const client = useClient();
  const metric = panel.metrics[0] ?? "";
  const isLive = "last" in span;
  const { data, error } = useQuery({
    queryKey: ["top", metric, panel.hosts, span],
    queryFn: ({ signal }) => {
      const range = isLive ? { start: `-${Math.round(span.last / 1000)}s`, end: "now" } : { start: Math.round(span.from), end: Math.round(span.to) };
      return client.getTop({ metric, k: FIRST, agents: panel.hosts, ...range }, { signal });
    },
    refetchInterval: isLive ? Math.max(REFRESH_MS, span.last / STEPS) : false,
    placeholderData: keepPreviousData,
  });
  if (error) return <p className="problem">{words(error)}</p>;
  const unit = unitOf(metric);
  const most = unit === "%" ? 100 : Math.max(1, ...(data?.agents ?? []).map((one) => one.value));
  if (data?.agents.length === 0)
    return (
      <p className="ng-blank" style={{ height: HEIGHT_PX + 24 }}>
        Nobody had any in this span
      </p>
    );
  return (
    <ol className="most" style={{ minHeight: HEIGHT_PX + 20 }}>
      {data?.agents.map((one) => (
        <li key={`${one.agent_id} ${one.device ?? ""}`}>
          <i style={{ transform: `scaleX(${Math.max(0, one.value) / most})` }} />
          <Link to={hostPath(one.agent_id)}>{one.agent_id}</Link>
          <span>{one.device}</span>
          <b title={exact(one.value, unit)}>{show(one.value, unit)}</b>
        </li>
      ))}
    </ol>
  );
}

/** What is done with a panel while the dashboard is changed. */
function Handles({ at, panels, onChange }: { at: number; panels: BoardPanel[]; onChange: (panels: BoardPanel[]) => void }) {
  const panel = panels[at];
  if (!panel) return null;
  const move = (to: number) => {
    const rest = panels.filter((one) => one !== panel);
    onChange([...rest.slice(0, to), panel, ...rest.slice(to)]);
  };
  return (
    <span className="handles">
      <button type="button" className="quiet small" disabled={at === 0} onClick={() => move(at - 1)} aria-label={`Move ${panel.title} before`}>
        <Icon path="M14 6l-6 6 6 6" />
      </button>
      <button type="button" className="quiet small" disabled={at === panels.length - 1} onClick={() => move(at + 1)} aria-label={`Move ${panel.title} behind`}>
        <Icon path="M10 6l6 6-6 6" />
      </button>
      <button
        type="button"
        className="quiet small"
        onClick={() => onChange(panels.map((one) => (one === panel ? { ...one, width: one.width === 1 ? 2 : 1 } : one)))}
      >
        {panel.width === 1 ? "Wide" : "Narrow"}
        <span className="ng-sr"> {panel.title}</span>
      </button>
      <button type="button" className="quiet small danger" onClick={() => onChange(panels.filter((one) => one !== panel))}>
        Remove<span className="ng-sr"> {panel.title}</span>
      </button>
    </span>
  );
}

function download({ name, content, id }: Board): void {
  const url = URL.createObjectURL(new Blob([JSON.stringify({ name, content }, undefined, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${id}.json`;
  link.click();
  URL.revokeObjectURL(url);
}
