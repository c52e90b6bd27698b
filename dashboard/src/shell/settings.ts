/**
 * What a person likes, kept in the browser: colours, and local time or UTC. How times are shown is a part of the picture, and the address
 * has it: whoever follows a link sees it as it was, whatever they like themselves.
 */

import { useEffect, useSyncExternalStore } from "react";
import { setQuery, useRoute } from "./route.tsx";

/** As the system has it, or always one. */
export type Theme = "auto" | "light" | "dark";

interface Settings {
  theme: Theme;
  utc: boolean;
}

const KEY = "nodeglass.settings";
const listeners = new Set<() => void>();
const dark = matchMedia("(prefers-color-scheme: dark)");

let settings: Settings = read();

function read(): Settings {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>;
    return { theme: kept.theme ?? "auto", utc: kept.utc ?? false };
  } catch {
    return { theme: "auto", utc: false };
  }
}

function apply(): void {
  const shown = settings.theme === "auto" ? (dark.matches ? "dark" : "light") : settings.theme;
  document.documentElement.dataset.theme = shown;
}

apply();
dark.addEventListener("change", () => {
  apply();
  settings = { ...settings };
  for (const listener of listeners) listener();
});

/** Changes some of them. */
export function set(changes: Partial<Settings>): void {
  settings = { ...settings, ...changes };
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing forgets it at the end.
  }
  apply();
  for (const listener of listeners) listener();
}

/** How times are shown, as the address has it. */
const TIMES = "tz";

/** Shows times so from now on, here and for whoever is sent the address. */
export function setUtc(utc: boolean): void {
  set({ utc });
  setQuery({ [TIMES]: timesOf(utc) });
}

/** What the address has of it. */
function timesOf(utc: boolean): string {
  return utc ? "utc" : "local";
}

/** How times are shown: as the address says or, where it does not, as one likes. */
function utcIn(query: URLSearchParams): boolean {
  const said = query.get(TIMES);
  return said === null ? settings.utc : said === "utc";
}

/** What the address has to have beside moments: they are read in local time or in UTC. */
export function timesBeside(): Record<string, string> {
  return { [TIMES]: timesOf(utcIn(new URLSearchParams(location.search))) };
}

/** Puts UTC, where one likes it, into the address of every page: whoever is sent it sees the same. */
export function useTimesInAddress(): void {
  const { query } = useRoute();
  useEffect(() => {
    if (settings.utc && !query.has(TIMES)) setQuery({ [TIMES]: timesOf(true) });
  }, [query]);
}

/** The settings, and the colours that they come to. */
export function useSettings(): Settings & { shown: string } {
  const { query } = useRoute();
  const now = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => settings,
  );
  return { ...now, utc: utcIn(query), shown: document.documentElement.dataset.theme ?? "dark" };
}
