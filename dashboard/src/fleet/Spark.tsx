/** Small charts and bars of the fleet's rows. */

import { memo, useEffect, useRef } from "react";
import type { Health } from "./health.ts";
import { POINTS, type Ring } from "./store.ts";

const colours = new Map<string, string>();

/** A colour of the style sheet, by theme. It is kept: whenever it is asked for, the browser works out all styles first. */
function colourOf(theme: string, name: string): string {
  const key = `${theme} ${name}`;
  const known = colours.get(key);
  if (known !== undefined) return known;
  const colour = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  colours.set(key, colour);
  return colour;
}

/** A line over the last points of a figure, up to `top` or to the highest of them. */
export const Spark = memo(function Spark(props: {
  ring: Ring;
  /** Changes with each point. */
  version: number;
  width: number;
  height: number;
  top?: number;
  tone?: string;
  theme: string;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { ring, version, width, height, top, tone = "--spark", theme } = props;
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const ratio = devicePixelRatio;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (element.width !== w || element.height !== h) {
      element.width = w;
      element.height = h;
    }
    context.clearRect(0, 0, w, h);
    const most = top ?? Math.max(ring.most() * 1.15, 1);
    const step = w / (POINTS - 1);
    const y = (value: number) => h - ratio - Math.min(value / most, 1) * (h - 2 * ratio);
    context.lineWidth = 1.3 * ratio;
    context.lineJoin = "round";
    context.strokeStyle = colourOf(theme, tone);
    const line = new Path2D();
    const area = new Path2D();
    // Where nothing is known there is neither line nor area.
    let before = -1;
    const end = () => {
      if (before < 0) return;
      area.lineTo(before * step, h);
      area.closePath();
      before = -1;
    };
    for (let at = 0; at < POINTS; at++) {
      const value = ring.at(at);
      if (Number.isNaN(value)) {
        end();
        continue;
      }
      if (before < 0) {
        line.moveTo(at * step, y(value));
        area.moveTo(at * step, h);
      } else {
        line.lineTo(at * step, y(value));
      }
      area.lineTo(at * step, y(value));
      before = at;
    }
    end();
    context.stroke(line);
    context.globalAlpha = 0.13;
    context.fillStyle = context.strokeStyle;
    context.fill(area);
    context.globalAlpha = 1;
  }, [ring, version, width, height, top, tone, theme]);
  return <canvas ref={canvas} className="spark" style={{ width, height }} aria-hidden="true" />;
});

/** How full something is. */
export function Meter({ value, health }: { value: number | undefined; health: Health }) {
  return (
    <span className={`meter ${health}`} aria-hidden="true">
      <i style={{ transform: `scaleX(${Math.min(1, (value ?? 0) / 100)})` }} />
    </span>
  );
}
