/** Tasks as bars on the charts' time axis. */

import type { Task } from "@nodeglass/client";
import { AXIS_WIDTH, RIGHT_PX, type Span, bounds, duration, moment, show, useTasks } from "@nodeglass/react";
import { useNow } from "../shell/useNow.ts";

/** More lines of bars are left out, and counted. */
const MOST_LINES = 8;

/** Puts bars that overlap on lines below each other. */
function lay(tasks: readonly Task[], now: number): Task[][] {
  const lines: { end: number; tasks: Task[] }[] = [];
  for (const task of [...tasks].sort((one, other) => one.started_at - other.started_at)) {
    const end = endOf(task, now);
    const line = lines.find((one) => one.end <= task.started_at);
    if (line) {
      line.end = end;
      line.tasks.push(task);
    } else lines.push({ end, tasks: [task] });
  }
  return lines.map((line) => line.tasks);
}

function endOf(task: Task, now: number): number {
  return task.ended_at ?? (task.state === "running" ? now : task.last_seen_at);
}

/** See the file. */
export function Tasks({ agentId, span, utc }: { agentId: string; span: Span; utc: boolean }) {
  const now = useNow(2_000);
  const isLive = "last" in span;
  const [from, to] = bounds(span, now);
  const { data } = useTasks(agentId, isLive ? `-${Math.round(span.last / 1000)}s` : from, isLive ? "now" : to, isLive ? 5_000 : false);
  if (!data || data.tasks.length === 0) return null;
  const lines = lay(data.tasks, now);
  const left = (at: number) => ((Math.min(Math.max(at, from), to) - from) / (to - from)) * 100;
  return (
    <section className="ng-panel tasks" aria-label="Tasks">
      <header>
        <h2>Tasks</h2>
        <small className="ng-note">{data.tasks.length} in this span</small>
      </header>
      <div className="lanes" style={{ marginLeft: AXIS_WIDTH, marginRight: RIGHT_PX }}>
        {lines.slice(0, MOST_LINES).map((line, at) => (
          <div key={at} className="lane">
            {line.map((task) => {
              const [start, end] = [left(task.started_at), left(endOf(task, now))];
              return (
                <div
                  key={`${task.task_id} ${task.started_at}`}
                  className={`task ${task.state} ${task.exit_code ? "failed" : ""}`}
                  style={{ left: `${start}%`, width: `max(3px, ${end - start}%)` }}
                  title={describe(task, now, utc)}
                >
                  <span>{task.task_id}</span>
                </div>
              );
            })}
          </div>
        ))}
      </div>
      {lines.length > MOST_LINES && <p className="ng-note">and {lines.length - MOST_LINES} lines more; choose a shorter span</p>}
    </section>
  );
}

function describe(task: Task, now: number, utc: boolean): string {
  const parts = [
    task.command,
    `from ${moment(task.started_at, utc)} for ${duration(endOf(task, now) - task.started_at)}`,
    typeof task.exit_code !== "number" ? task.state : `exit code ${task.exit_code}`,
  ];
  if (typeof task.cpu_time_ms === "number") parts.push(`processor time ${duration(task.cpu_time_ms)}`);
  if (typeof task.peak_memory_bytes === "number") parts.push(`at most ${show(task.peak_memory_bytes, "bytes")}`);
  return parts.join("\n");
}
