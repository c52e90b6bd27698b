/**
 * Charts by hand. A finger that moves along reads the chart; one that rests first chooses a span, as a drag with the mouse does; two
 * fingers stretch the time between them. Up and down the page scrolls as ever. What the chart does with it stands in its `Actions`.
 */

/** What a chart does when it is touched. Places are pixels from the left edge of the element. */
export interface Actions {
  /** From when to when is shown, in seconds, and where that begins and how wide it is. */
  shown: () => { from: number; to: number; left: number; width: number };
  /** Marks what is chosen so far; nothing marks nothing. */
  mark: (chosen: { left: number; right: number } | undefined) => void;
  /** Shows another span, in seconds, while fingers move; nothing goes back to what is shown otherwise. */
  preview: (span: { from: number; to: number } | undefined) => void;
  /** A finger reads at a place. */
  point: (x: number, y: number) => void;
  /** It is gone. */
  leave: () => void;
  /** A span was chosen, in Unix milliseconds. */
  zoom: (from: number, to: number) => void;
}

/** A finger that rests for so long chooses. */
const REST_MS = 350;
/** A finger that moved less did rest. */
const REST_PX = 8;
/** A drag over fewer pixels is a click. */
export const CLICK_PX = 4;
/** Fingers nearer to each other than this would stretch a moment to years. */
const LEAST_APART_PX = 24;

interface Point {
  x: number;
  y: number;
}

/** What goes on: `read` and `rest` with one finger, `choose` with one or the mouse, `pinch` with two, `over` until all are gone. */
type Doing = "nothing" | "rest" | "read" | "choose" | "pinch" | "over";

/** The span that puts two moments under two fingers. */
export function stretched(
  shown: { from: number; to: number; left: number; width: number },
  began: readonly [number, number],
  now: readonly [number, number],
): { from: number; to: number } {
  const perPx = (shown.to - shown.from) / shown.width;
  const [one, other] = began.map((x) => shown.from + (x - shown.left) * perPx) as [number, number];
  const apart = Math.max(Math.abs(now[1] - now[0]), LEAST_APART_PX) * (now[1] < now[0] ? -1 : 1);
  const stretchedPerPx = (other - one) / apart;
  const from = one - (now[0] - shown.left) * stretchedPerPx;
  return { from, to: from + shown.width * stretchedPerPx };
}

/** Listens to an element's fingers and, `withMouse`, to the mouse; gives what ends it. */
export function listen(element: HTMLElement, actions: Actions, withMouse: boolean): () => void {
  const fingers = new Map<number, Point>();
  const began = new Map<number, Point>();
  let doing: Doing = "nothing";
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stretching: { shown: ReturnType<Actions["shown"]>; from: number; to: number } | undefined;
  const isOurs = (event: PointerEvent) => event.pointerType !== "mouse" || (withMouse && event.button <= 0);
  const placeOf = (event: PointerEvent): Point => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const pair = (of: Map<number, Point>): [number, number] => {
    const [one, other] = [...of.values()];
    return [one?.x ?? 0, other?.x ?? 0];
  };
  const chosen = (id: number): { left: number; right: number } => {
    const { left, width } = actions.shown();
    const [start, end] = [began.get(id)?.x ?? 0, fingers.get(id)?.x ?? 0].map((x) => Math.min(Math.max(x, left), left + width)) as [number, number];
    return { left: Math.min(start, end), right: Math.max(start, end) };
  };
  const down = (event: PointerEvent) => {
    if (!isOurs(event)) return;
    const { pointerId: id } = event;
    const place = placeOf(event);
    fingers.set(id, place);
    began.set(id, place);
    clearTimeout(timer);
    if (fingers.size === 2 && doing !== "choose") {
      const shown = actions.shown();
      doing = "pinch";
      for (const [finger, at] of fingers) began.set(finger, at);
      stretching = { shown, from: shown.from, to: shown.to };
      actions.leave();
      return;
    }
    if (fingers.size > 1) return;
    doing = "rest";
    if (event.pointerType === "mouse") return element.setPointerCapture(id);
    timer = setTimeout(() => {
      doing = "choose";
      actions.mark(chosen(id));
    }, REST_MS);
  };
  const move = (event: PointerEvent) => {
    const { pointerId: id } = event;
    if (!fingers.has(id)) return;
    const place = placeOf(event);
    fingers.set(id, place);
    if (doing === "pinch" && stretching) {
      const { from, to } = stretched(stretching.shown, pair(began), pair(fingers));
      // Fingers that crossed would turn time around.
      if (to > from) stretching = { shown: stretching.shown, from, to };
      return actions.preview(stretching);
    }
    const start = began.get(id) ?? place;
    if (doing === "rest") {
      const isMouse = event.pointerType === "mouse";
      if (Math.hypot(place.x - start.x, place.y - start.y) < (isMouse ? CLICK_PX : REST_PX)) return;
      clearTimeout(timer);
      doing = isMouse ? "choose" : "read";
    }
    if (doing === "choose") actions.mark(chosen(id));
    if (doing === "read") actions.point(place.x, place.y);
  };
  const end = (event: PointerEvent, isKept: boolean) => {
    const { pointerId: id } = event;
    if (!fingers.has(id)) return;
    clearTimeout(timer);
    const was = doing;
    const span = chosen(id);
    fingers.delete(id);
    began.delete(id);
    if (was === "pinch" && stretching) {
      const { from, to, shown } = stretching;
      stretching = undefined;
      actions.preview(undefined);
      if (isKept && (from !== shown.from || to !== shown.to)) actions.zoom(Math.round(from * 1000), Math.round(to * 1000));
    } else if (was === "choose") {
      actions.mark(undefined);
      const { from, to, left, width } = actions.shown();
      const at = (x: number) => Math.round((from + ((x - left) / width) * (to - from)) * 1000);
      if (isKept && span.right - span.left >= CLICK_PX) actions.zoom(at(span.left), at(span.right));
    } else if (was === "read") actions.leave();
    // The click that follows a drag is none.
    doing = fingers.size > 0 || was === "choose" ? "over" : "nothing";
  };
  const up = (event: PointerEvent) => end(event, true);
  const cancel = (event: PointerEvent) => end(event, false);
  const click = (event: MouseEvent) => {
    if (doing !== "over") return;
    doing = "nothing";
    event.stopImmediatePropagation();
  };
  // While a finger chooses, or two stretch, nothing scrolls, and a long touch is not asked what can be done with a picture.
  const hold = (event: Event) => {
    if (doing === "choose" || doing === "pinch") event.preventDefault();
  };
  element.addEventListener("pointerdown", down);
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", cancel);
  element.addEventListener("click", click, { capture: true });
  element.addEventListener("touchmove", hold, { passive: false });
  element.addEventListener("contextmenu", hold);
  return () => {
    clearTimeout(timer);
    element.removeEventListener("pointerdown", down);
    element.removeEventListener("pointermove", move);
    element.removeEventListener("pointerup", up);
    element.removeEventListener("pointercancel", cancel);
    element.removeEventListener("click", click, { capture: true });
    element.removeEventListener("touchmove", hold);
    element.removeEventListener("contextmenu", hold);
  };
}
