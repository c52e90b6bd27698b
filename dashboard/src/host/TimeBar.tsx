/** What span is shown, and the ways to another. */

import { type Cursor, type Span, bounds, duration, moment } from "@nodeglass/react";
import { useEffect, useRef } from "react";
import { Icon } from "../shell/Frame.tsx";
import { setUtc } from "../shell/settings.ts";
import { useKeys } from "../shell/useNow.ts";
import { pan, showLast, zoom } from "./moves.ts";
import { RANGES } from "./span.ts";

/** A step of panning and of zooming. */
const PAN = 0.5;
const ZOOM = 2;

/** See the file. `isFlowing`: figures come in live. */
export function TimeBar(props: { span: Span; name: string | undefined; utc: boolean; cursor: Cursor; isFlowing: boolean; last: string }) {
  const { span, name, utc, cursor } = props;
  const isLive = "last" in span;
  const now = Date.now();
  const [from, to] = bounds(span, now);
  const live = () => showLast(props.last);
  useKeys({
    l: live,
    ArrowLeft: () => pan(from, to, -PAN),
    ArrowRight: () => (isLive ? undefined : pan(from, to, PAN)),
    "+": () => zoom(from, to, 1 / ZOOM),
    "-": () => zoom(from, to, ZOOM),
    u: () => setUtc(!utc),
    ...Object.fromEntries(RANGES.map(([one], at) => [String(at + 1), () => showLast(one)])),
  });
  return (
    <div className="time-bar" role="group" aria-label="Time">
      <button type="button" className={isLive ? "live-key on" : "live-key"} aria-pressed={isLive} onClick={live} title="Follow live (L)">
        <i className={isLive && props.isFlowing ? "dot ok pulse" : "dot"} /> Live
      </button>
      <div className="segments ranges" role="group" aria-label="Range">
        {RANGES.map(([one], at) => (
          <button key={one} type="button" aria-pressed={name === one} onClick={() => showLast(one)} title={`The last ${one} (${at + 1})`}>
            {one}
          </button>
        ))}
      </div>
      <div className="segments moves" role="group" aria-label="Move">
        <button type="button" onClick={() => pan(from, to, -PAN)} title="Earlier (←)" aria-label="Earlier">
          <Icon path="M14 6l-6 6 6 6" />
        </button>
        <button type="button" onClick={() => pan(from, to, PAN)} disabled={isLive} title="Later (→)" aria-label="Later">
          <Icon path="M10 6l6 6-6 6" />
        </button>
        <button type="button" onClick={() => zoom(from, to, ZOOM)} title="Zoom out (-)" aria-label="Zoom out">
          <Icon path="M6 12h12" />
        </button>
        <button type="button" onClick={() => zoom(from, to, 1 / ZOOM)} title="Zoom in (+)" aria-label="Zoom in">
          <Icon path="M6 12h12M12 6v12" />
        </button>
      </div>
      <p className="shown-span">
        {isLive ? (
          <>last {duration(span.last)}</>
        ) : (
          <>
            {moment(from, utc).replace(" UTC", "")} – {sameDay(from, to, utc) ? moment(to, utc, false) : moment(to, utc).replace(" UTC", "")}
            {utc && " UTC"} <small>{duration(to - from)}</small>
          </>
        )}
      </p>
      <CursorTime cursor={cursor} utc={utc} />
    </div>
  );
}

function sameDay(from: number, to: number, utc: boolean): boolean {
  return moment(from, utc).slice(0, 10) === moment(to, utc).slice(0, 10);
}

/** The moment under the cursor. It is written down past React: the cursor moves at each frame. */
function CursorTime({ cursor, utc }: { cursor: Cursor; utc: boolean }) {
  const text = useRef<HTMLOutputElement>(null);
  useEffect(
    () =>
      cursor.subscribe((at) => {
        if (text.current) text.current.textContent = at === null ? "" : moment(at, utc);
      }),
    [cursor, utc],
  );
  return <output className="cursor-time" ref={text} aria-live="off" />;
}
