/** Who is signed in: a session of the server's, held by a cookie that scripts can't read. */

import { ApiError, type Credentials, type Me, NodeglassClient } from "@nodeglass/client";
import { useSyncExternalStore } from "react";

/** Nobody yet, nobody, or somebody. */
export type Session = { state: "asking"; problem?: unknown } | { state: "out" } | { state: "in"; me: Me };

/** A server that did not answer is asked again so much later. */
const AGAIN_MS = 2_000;

const listeners = new Set<() => void>();
let session: Session = { state: "asking" };

function changed(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}

/** The page's one client. */
export const client = new NodeglassClient({
  csrf: () => (session.state === "in" ? session.me.session?.csrf_token : undefined),
  onUnauthorized: () => {
    if (session.state === "in") changed({ state: "out" });
  },
});

/** Asks who one is; a server that does not answer is asked again. */
export async function ask(): Promise<void> {
  try {
    changed({ state: "in", me: await client.session.me() });
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) changed({ state: "out" });
    else {
      changed({ state: "asking", problem: error });
      setTimeout(() => void ask(), AGAIN_MS);
    }
  }
}

/** Signs in. */
export async function signIn(credentials: Credentials): Promise<void> {
  changed({ state: "in", me: await client.session.signIn(credentials) });
}

/** Signs out. */
export async function signOut(): Promise<void> {
  try {
    await client.session.signOut();
  } catch {
    // Without a session, or without a server, there is nothing to end.
  }
  changed({ state: "out" });
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether somebody is signed in. */
export function useSession(): Session {
  return useSyncExternalStore(subscribe, () => session);
}

/** Whether somebody may change what all share: settings, labels, dashboards. */
export function mayChange(me: Me | undefined): boolean {
  return me !== undefined && me.role !== "viewer";
}

/** Whether somebody manages all there is: hosts, tokens, users. */
export function mayManage(me: Me | undefined): boolean {
  return me?.role === "admin" && !me.agents;
}

/** Who is signed in. */
export function useMe(): Me | undefined {
  const now = useSession();
  return now.state === "in" ? now.me : undefined;
}
