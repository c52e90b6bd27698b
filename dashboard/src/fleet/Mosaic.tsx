/** One cell for each host, by name, coloured by how busy it is: where the fleet burns is seen without scrolling. */

import { show } from "@nodeglass/react";
import { type PointerEvent, useEffect, useMemo, useRef, useState } from "react";
import { go, hostPath } from "../shell/route.tsx";
import type { Host } from "./store.ts";
import { Why } from "./Why.tsx";

/** Cells are as big as they can be within these bounds. */
const CELL_PX = { least: 6, most: 26 };
const GAP_PX = 2;
const HEIGHT_PX = 84;
/** Cells from this size on have round corners; of smaller ones nobody sees them, and there are many, each second. */
const ROUND_PX = 12;

const names = new Intl.Collator("en", { numeric: true });

/** See the file. */
export function Mosaic({ hosts, version, theme }: { hosts: Host[]; version: number; theme: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [pointed, setPointed] = useState<{ host: Host; x: number; y: number }>();
  const sorted = useMemo(() => [...hosts].sort((one, other) => names.compare(one.id, other.id)), [hosts.length]);
  useEffect(() => {
    const sizes = new ResizeObserver(([entry]) => entry && setWidth(Math.floor(entry.contentRect.width)));
    if (canvas.current?.parentElement) sizes.observe(canvas.current.parentElement);
    return () => sizes.disconnect();
  }, []);
  const grid = useMemo(() => fit(sorted.length, width), [sorted.length, width]);
  const colours = useRef<string[]>([]);
  useEffect(() => {
    if (!canvas.current) return;
    const style = getComputedStyle(canvas.current);
    colours.current = ["--heat-0", "--heat-1", "--heat-2", "--heat-3", "--heat-4", "--heat-lost"].map((name) => style.getPropertyValue(name));
  }, [theme]);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || width === 0) return;
    const ratio = devicePixelRatio;
    const [w, h] = [Math.round(width * ratio), Math.round(grid.height * ratio)];
    if (element.width !== w || element.height !== h) {
      element.width = w;
      element.height = h;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, grid.height);
    for (const [at, host] of sorted.entries()) {
      context.fillStyle = colours.current[heat(host)] ?? "#888";
      const [x, y] = [(at % grid.columns) * (grid.cell + GAP_PX), Math.floor(at / grid.columns) * (grid.cell + GAP_PX)];
      if (grid.cell < ROUND_PX) {
        context.fillRect(x, y, grid.cell, grid.cell);
        continue;
      }
      context.beginPath();
      context.roundRect(x, y, grid.cell, grid.cell, Math.min(4, grid.cell / 4));
      context.fill();
    }
  }, [sorted, grid, width, version, theme]);
  const under = (event: PointerEvent) => {
    const step = grid.cell + GAP_PX;
    const box = event.currentTarget.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const column = Math.floor(x / step);
    const host = column < grid.columns ? sorted[Math.floor(y / step) * grid.columns + column] : undefined;
    return host && { host, x: Math.min(x + 12, width - 150), y: y + 16 };
  };
  return (
    <div className="mosaic" aria-hidden="true">
      <canvas
        ref={canvas}
        style={{ width, height: grid.height }}
        onPointerMove={(event) => setPointed(under(event))}
        onPointerLeave={() => setPointed(undefined)}
        onClick={() => pointed && go(hostPath(pointed.host.id))}
      />
      {pointed && (
        <span className="tip" style={{ left: pointed.x, top: pointed.y }}>
          <b>{pointed.host.id}</b>
          <Why troubles={pointed.host.troubles} />
          {pointed.host.isConnected ? ` CPU ${show(pointed.host.figures.cpu, "%")} · mem ${show(pointed.host.figures.memory, "%")}` : ""}
        </span>
      )}
    </div>
  );
}

function heat(host: Host): number {
  if (host.health === "lost") return 5;
  if (host.health === "hot") return 4;
  if (host.health === "warm") return 3;
  const busy = Math.max(host.figures.cpu ?? 0, host.figures.memory ?? 0);
  return busy >= 60 ? 2 : busy >= 25 ? 1 : 0;
}

/** The biggest cells with which all fit into the height. */
function fit(count: number, width: number): { cell: number; columns: number; height: number } {
  if (width === 0) return { cell: CELL_PX.most, columns: 1, height: 0 };
  for (let cell = CELL_PX.most; ; cell--) {
    const columns = Math.max(1, Math.floor((width + GAP_PX) / (cell + GAP_PX)));
    const lines = Math.max(1, Math.ceil(count / columns));
    const height = lines * (cell + GAP_PX);
    if (height <= HEIGHT_PX || cell <= CELL_PX.least) return { cell, columns, height };
  }
}
