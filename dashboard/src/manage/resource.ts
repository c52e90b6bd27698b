/** Lists of the server's, and changes of them. */

import type { CallOptions, NodeglassClient } from "@nodeglass/client";
import { useClient, words } from "@nodeglass/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

/** How often a list is looked at anew. */
const REFRESH_MS = 10_000;

/** A list of the server's, as `ask` has it; `name` tells it from others. */
export function useList<T>(
  name: readonly (string | number)[],
  ask: (client: NodeglassClient, options: CallOptions) => Promise<T>,
  refreshMs = REFRESH_MS,
) {
  const client = useClient();
  return useQuery({
    queryKey: ["list", ...name],
    queryFn: ({ signal }) => ask(client, { signal }),
    refetchInterval: refreshMs,
  });
}

/** What a change gives that was made: its answer, or that it was. */
type Made<T> = T extends void ? true : T;

/** A change: what it answers, or why not, as `said` has it. Lists are looked at anew after it. */
export function useChange(said: (error: unknown) => string = words) {
  const client = useClient();
  const queries = useQueryClient();
  const [problem, setProblem] = useState<string>();
  const change = async <T>(make: (client: NodeglassClient) => Promise<T>): Promise<Made<T> | undefined> => {
    try {
      const answer = await make(client);
      setProblem(undefined);
      await queries.invalidateQueries({ queryKey: ["list"] });
      // What a change without an answer gives is not nothing: it was made.
      return (answer ?? true) as Made<T>;
    } catch (error) {
      setProblem(said(error));
      return undefined;
    }
  };
  return { change, problem };
}

/** Agents as a field has them, out of and into a list; an empty field is all. */
export function agentsOf(text: string): string[] | undefined {
  const named = text.split(/[\s,]+/).filter(Boolean);
  return named.length > 0 ? named : undefined;
}

/** Which agents somebody may see. */
export function scope(agents: readonly string[] | null | undefined): string {
  return agents ? agents.join(", ") : "all hosts";
}

/** What has to be said for labels to be as they are wanted; what stays as it is may be said by the host itself. */
export function labelChanges(now: Record<string, string>, wanted: Record<string, string>): Record<string, string | null> {
  const gone = Object.keys(now).filter((name) => !(name in wanted));
  const changed = Object.entries(wanted).filter(([name, value]) => now[name] !== value);
  return Object.fromEntries([...gone.map((name): [string, null] => [name, null]), ...changed]);
}

/** Labels as a field has them: `env=prod, rack=7`. */
export function labelsOf(text: string): Record<string, string> {
  const entries = text.split(",").map((entry) => entry.trim());
  return Object.fromEntries(
    entries.filter(Boolean).map((entry) => {
      const at = entry.indexOf("=");
      return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}
