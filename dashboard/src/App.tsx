/** The frame of every page: who is signed in, where one is, and what stands above. */

import { NodeglassProvider, makeQueryClient } from "@nodeglass/react";
import { Suspense } from "react";
import { FleetPage } from "./fleet/FleetPage.tsx";
import { HostPage } from "./host/HostPage.tsx";
import { Boundary, Silent } from "./shell/Broken.tsx";
import { Bar, Frame } from "./shell/Frame.tsx";
import { SignIn } from "./shell/SignIn.tsx";
import { lazily } from "./shell/lazily.ts";
import { Link, namedIn, useRoute } from "./shell/route.tsx";
import { ask, client, useSession } from "./shell/session.ts";

const ServerPage = lazily(() => import("./server/ServerPage.tsx"));
const ComparePage = lazily(() => import("./compare/ComparePage.tsx"));
const BoardsPage = lazily(() => import("./boards/BoardsPage.tsx"));
const ManagePage = lazily(() => import("./manage/ManagePage.tsx"));
const BoardPage = lazily(() => import("./boards/BoardPage.tsx"));

const queries = makeQueryClient();
void ask();

/** See the file. */
export function App() {
  const session = useSession();
  const { path } = useRoute();
  // The head of the page is there at once, before it is known who looks.
  if (session.state === "asking")
    return (
      <>
        <Bar />
        {session.problem !== undefined && <Silent problem={session.problem} />}
      </>
    );
  if (session.state === "out") return <SignIn />;
  return (
    <NodeglassProvider client={client} queryClient={queries}>
      <Frame>
        <Boundary page={path}>
          <Suspense fallback={null}>
            <Page />
          </Suspense>
        </Boundary>
      </Frame>
    </NodeglassProvider>
  );
}

function Page() {
  const { path } = useRoute();
  if (path === "/") return <FleetPage />;
  const host = namedIn(path, "hosts");
  if (host !== undefined) return <HostPage key={host} agentId={host} />;
  if (path === "/compare") return <ComparePage />;
  if (path === "/boards") return <BoardsPage />;
  const board = namedIn(path, "boards");
  if (board !== undefined) return <BoardPage key={board} id={board} />;
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
