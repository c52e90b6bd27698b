/** Dashboards of people's own: what they are, and how the server keeps them. */

import type { DashboardEntry, NodeglassClient } from "@nodeglass/client";

/** A panel: lines of hosts' metrics, or who has most of one. */
export interface BoardPanel {
  title: string;
  kind: "chart" | "top";
  /** Names and patterns; none for all hosts. */
  hosts: string[];
  /** All of one unit; of a list of those who have most, the first. */
  metrics: string[];
  /** Columns that it takes. */
  width: 1 | 2;
}

/** How lists show one. */
export type BoardEntry = DashboardEntry;

/** A dashboard. */
export interface Board extends BoardEntry {
  content: { panels: BoardPanel[] };
}

/** Every dashboard there is. */
export function listBoards(client: NodeglassClient, signal?: AbortSignal): Promise<BoardEntry[]> {
  return client.dashboards.list({ signal });
}

/** One of them. */
export function readBoard(client: NodeglassClient, id: string, signal?: AbortSignal): Promise<Board> {
  return client.dashboards.get<Board["content"]>(id, { signal });
}

/** Keeps it, if nobody changed it since; the answer has the new revision. */
export function saveBoard(client: NodeglassClient, board: Pick<Board, "id" | "name" | "revision" | "content">): Promise<BoardEntry> {
  const { id, name, revision, content } = board;
  return client.dashboards.save(id, { name, revision, content });
}

/** Removes it. */
export function removeBoard(client: NodeglassClient, id: string): Promise<void> {
  return client.dashboards.remove(id);
}

/** A name for addresses out of one for people. */
export function idOf(name: string): string {
  const plain = name
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40);
  const random = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  return `${plain || "dashboard"}-${random.toString(36)}`;
}

/** Reads a file that was exported. */
export function parseBoard(text: string): Pick<Board, "name" | "content"> {
  const given: unknown = JSON.parse(text);
  const board = given as Partial<Board>;
  const panels = board.content?.panels;
  if (typeof board.name !== "string" || !Array.isArray(panels)) throw new Error("this file is no dashboard of Nodeglass");
  return {
    name: board.name,
    content: {
      panels: panels.map((panel) => ({
        title: String(panel.title ?? ""),
        kind: panel.kind === "top" ? "top" : "chart",
        hosts: (panel.hosts ?? []).map(String),
        metrics: (panel.metrics ?? []).map(String),
        width: panel.width === 2 ? 2 : 1,
      })),
    },
  };
}
