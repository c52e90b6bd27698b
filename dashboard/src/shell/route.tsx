/** The address: which page, and the whole state of it, so that a link shows a colleague the same picture. */

import { type AnchorHTMLAttributes, type MouseEvent, useMemo, useSyncExternalStore } from "react";

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    removeEventListener("popstate", listener);
  };
}

function address(): string {
  return location.pathname + location.search;
}

/** Goes to an address; `replace` leaves no step back. */
export function go(to: string, replace = false): void {
  if (to === address()) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  for (const listener of listeners) listener();
}

/** The path and what follows it. */
export function useRoute(): { path: string; query: URLSearchParams } {
  const now = useSyncExternalStore(subscribe, address);
  return useMemo(() => {
    const [path = "/", search = ""] = now.split("?");
    return { path, query: new URLSearchParams(search) };
  }, [now]);
}

/** Changes parts of the address's state; `undefined` takes one out. */
export function setQuery(changes: Record<string, string | undefined>, replace = true): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ""), replace);
}

/** A link within the page. */
export function Link({ to, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { to: string }) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
    scrollTo(0, 0);
  };
  return <a href={to} onClick={follow} {...rest} />;
}

/** What is named by an address such as `/hosts/web-01`; nothing where it is another's, or can't be read. */
export function namedIn(path: string, kind: "hosts" | "boards"): string | undefined {
  const [, first, name, ...rest] = path.split("/");
  if (first !== kind || !name || rest.length > 0) return undefined;
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

/** The address of a host's page. */
export function hostPath(id: string): string {
  return `/hosts/${encodeURIComponent(id)}`;
}
