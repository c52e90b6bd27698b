/** Rows of a long table, of which only those are drawn that are seen: the others are room above and below them. */

import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useLayoutEffect, useRef, useState } from "react";

/** Rows beyond the screen, so that scrolling does not show where they end. */
const BEYOND = 12;

/** See the file. `keyOf` tells one from another; `row` has to hand `ref` and `data-index` on to its element. */
export function Rows<T>(props: {
  all: readonly T[];
  columns: number;
  heightPx: number;
  keyOf: (one: T) => string;
  row: (one: T, drawn: { ref: (element: Element | null) => void; "data-index": number; "aria-rowindex": number }) => ReactNode;
}) {
  const { all, columns, heightPx, keyOf, row } = props;
  const first = useRef<HTMLTableRowElement>(null);
  const [top, setTop] = useState(0);
  // What stands above may grow: where the rows begin is looked up whenever they are drawn.
  useLayoutEffect(() => setTop(Math.round((first.current?.getBoundingClientRect().top ?? 0) + scrollY)));
  const virtual = useWindowVirtualizer({
    count: all.length,
    estimateSize: () => heightPx,
    getItemKey: (index) => {
      const one = all[index];
      return one === undefined ? index : keyOf(one);
    },
    overscan: BEYOND,
    scrollMargin: top,
  });
  const items = virtual.getVirtualItems();
  const above = (items[0]?.start ?? top) - top;
  const below = virtual.getTotalSize() - ((items.at(-1)?.end ?? top) - top);
  return (
    <>
      <tr ref={first} aria-hidden="true" className="room">
        <td colSpan={columns} style={{ height: above }} />
      </tr>
      {items.map((item) => {
        const one = all[item.index];
        // The head is the first row.
        return one === undefined ? null : row(one, { ref: virtual.measureElement, "data-index": item.index, "aria-rowindex": item.index + 2 });
      })}
      <tr aria-hidden="true" className="room">
        <td colSpan={columns} style={{ height: Math.max(0, below) }} />
      </tr>
    </>
  );
}
