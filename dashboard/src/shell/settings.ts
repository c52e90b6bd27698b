/** What a person likes, kept in the browser: colours, and local time or UTC. */

import { useSyncExternalStore } from "react";

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

/** The settings, and the colours that they come to. */
export function useSettings(): Settings & { shown: string } {
  const now = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => settings,
  );
  return { ...now, shown: document.documentElement.dataset.theme ?? "dark" };
}
