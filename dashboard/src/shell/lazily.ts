/** Parts of the page that are fetched when they are looked at first. */

import { type ComponentType, lazy } from "react";

/** When the page was loaded anew last because a part was gone, in Unix milliseconds. */
const KEY = "nodeglass.reloaded";
/** A part that is gone again so soon is not gone because the server is newer. */
const ONCE_IN_MS = 60_000;

/** What of the browser it takes to load the page anew. */
export interface Reloading {
  kept: Pick<Storage, "getItem" | "setItem">;
  reload: () => void;
}

/**
 * Fetches a part. A server that was upgraded has other parts than the page was made with, and no longer this one: the page is loaded
 * anew, once, and then knows the new ones.
 */
export async function fetchPart<T>(load: () => Promise<T>, browser: () => Reloading, now = Date.now()): Promise<T> {
  try {
    return await load();
  } catch (error) {
    try {
      const { kept, reload } = browser();
      if (now - Number(kept.getItem(KEY) ?? 0) < ONCE_IN_MS) throw error;
      kept.setItem(KEY, String(now));
      reload();
    } catch {
      // A browser that keeps nothing might load the page again and again.
      throw error;
    }
    // Nothing more is drawn: the new page is on its way.
    return new Promise<never>(() => {});
  }
}

/** A page as a part. */
export function lazily<P>(load: () => Promise<{ default: ComponentType<P> }>) {
  return lazy(() => fetchPart(load, () => ({ kept: sessionStorage, reload: () => location.reload() })));
}
