/** What hooks and charts need from the page: the client, the cache of its answers, and how times are shown. */

import type { NodeglassClient } from "@nodeglass/client";
import { isFinal } from "@nodeglass/client";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, createContext, useContext, useMemo } from "react";
import { LiveHosts } from "./live.ts";

interface Context {
  client: NodeglassClient;
  live: LiveHosts;
}

const NodeglassContext = createContext<Context | undefined>(undefined);

/** How answers are cached: old ones stand until the new ones are there. */
export function makeQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        refetchOnWindowFocus: false,
        retry: (count, error) => !isFinal(error) && count < 5,
        retryDelay: (count) => Math.min(500 * 2 ** count, 10_000),
      },
    },
  });
}

/** Gives the client to everything inside. */
export function NodeglassProvider(props: { client: NodeglassClient; queryClient?: QueryClient; children: ReactNode }) {
  const queries = useMemo(() => props.queryClient ?? makeQueryClient(), [props.queryClient]);
  const context = useMemo(() => ({ client: props.client, live: new LiveHosts(props.client) }), [props.client]);
  return (
    <QueryClientProvider client={queries}>
      <NodeglassContext.Provider value={context}>{props.children}</NodeglassContext.Provider>
    </QueryClientProvider>
  );
}

function useNodeglass(): Context {
  const context = useContext(NodeglassContext);
  if (!context) throw new Error("put <NodeglassProvider client={...}> around what asks the server");
  return context;
}

/** The client of the page. */
export function useClient(): NodeglassClient {
  return useNodeglass().client;
}

/** The live views of the page. */
export function useLiveHosts(): LiveHosts {
  return useNodeglass().live;
}
