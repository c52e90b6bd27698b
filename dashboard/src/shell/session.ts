/** Who is signed in: by a token, kept for this tab or, if wanted, in this browser. */

import { NodeglassClient } from "@nodeglass/client";
import { useSyncExternalStore } from "react";

const KEY = "nodeglass.token";
const listeners = new Set<() => void>();

let token: string | undefined = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? undefined;

function changed(next: string | undefined): void {
  token = next;
  for (const listener of listeners) listener();
}

/** The page's one client. */
export const client = new NodeglassClient({
  token: () => token,
  onUnauthorized: () => signOut(),
});

/** Tries a token, and keeps it if the server takes it. */
export async function signIn(given: string, keep: boolean): Promise<void> {
  const asking = new NodeglassClient({ token: given });
  await asking.listAgents({ limit: 1 });
  (keep ? localStorage : sessionStorage).setItem(KEY, given);
  changed(given);
}

/** Forgets the token. */
export function signOut(): void {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
  if (token !== undefined) changed(undefined);
}

/** Whether somebody is signed in. */
export function useIsSignedIn(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => token !== undefined,
  );
}
