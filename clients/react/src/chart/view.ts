/** What all charts of a page have in common: the cursor, how times are shown, and what a drag over a chart does. */

import { createContext, useContext } from "react";
import type { LateSpan } from "../late.ts";

/** Where the pointer is, in Unix milliseconds; nowhere if it is over no chart. Charts hear of it, React does not. */
export class Cursor {
  at: number | null = null;
  private readonly listeners = new Set<(at: number | null) => void>();

  set(at: number | null): void {
    if (at === this.at) return;
    this.at = at;
    for (const listener of this.listeners) listener(at);
  }

  subscribe = (listener: (at: number | null) => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}

/** How charts behave together. */
export interface ChartView {
  /** Charts of one group move their cursors together. */
  group: string;
  cursor: Cursor;
  utc: boolean;
  /** Changes with the colours: charts are drawn anew. */
  theme: string;
  /** Spans that are marked: their samples came late. */
  late?: readonly LateSpan[] | undefined;
  /** A span was chosen by dragging, in Unix milliseconds. */
  onZoom?: ((from: number, to: number) => void) | undefined;
  /** The moment that is kept, in Unix milliseconds: charts mark it. */
  pinned?: number | undefined;
  /** A moment was chosen, by a click or by Enter. */
  onPick?: ((at: number) => void) | undefined;
  /** The moment that is kept is let go, by Escape. */
  onLetGo?: (() => void) | undefined;
}

const View = createContext<ChartView>({ group: "nodeglass", cursor: new Cursor(), utc: false, theme: "" });

/** Sets it for the charts inside. */
export const ChartViewProvider = View.Provider;

/** That of the charts around. */
export function useChartView(): ChartView {
  return useContext(View);
}
