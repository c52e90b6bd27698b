/** The frame of every page: who is signed in, where one is, and what stands above. */

import { NodeglassProvider, makeQueryClient } from "@nodeglass/react";
import { Suspense, lazy } from "react";
import { FleetPage } from "./fleet/FleetPage.tsx";
import { HostPage } from "./host/HostPage.tsx";
import { Bar, Frame } from "./shell/Frame.tsx";
import { SignIn } from "./shell/SignIn.tsx";
import { Link, useRoute } from "./shell/route.tsx";
import { ask, client, useSession } from "./shell/session.ts";

const ServerPage = lazy(() => import("./server/ServerPage.tsx"));
const ComparePage = lazy(() => import("./compare/ComparePage.tsx"));
const BoardsPage = lazy(() => import("./boards/BoardsPage.tsx"));
const ManagePage = lazy(() => import("./manage/ManagePage.tsx"));
const BoardPage = lazy(() => import("./boards/BoardPage.tsx"));

const queries = makeQueryClient();
void ask();

/** See the file. */
export function App() {
  const { state } = useSession();
  // The head of the page is there at once, before it is known who looks.
  if (state === "asking") return <Bar />;
  if (state === "out") return <SignIn />;
  return (
    <NodeglassProvider client={client} queryClient={queries}>
      <Frame>
        <Suspense fallback={null}>
          <Page />
        </Suspense>
      </Frame>
    </NodeglassProvider>
  );
}

function Page() {
  const { path } = useRoute();
  const host = /^\/hosts\/([^/]+)$/.exec(path)?.[1];
  if (path === "/") return <FleetPage />;
  if (host !== undefined) {
    const id = decodeURIComponent(host);
    return <HostPage key={id} agentId={id} />;
  }
  if (path === "/compare") return <ComparePage />;
  if (path === "/boards") return <BoardsPage />;
  const board = /^\/boards\/([^/]+)$/.exec(path)?.[1];
  if (board !== undefined) return <BoardPage key={board} id={decodeURIComponent(board)} />;
  if (path === "/manage" || path.startsWith("/manage/")) return <ManagePage />;
  if (path === "/server") return <ServerPage />;
  return (
    <main className="nothing">
      <h1>There is no such page</h1>
      <p>
        <Link to="/">All hosts</Link>
      </p>
    </main>
  );
}
