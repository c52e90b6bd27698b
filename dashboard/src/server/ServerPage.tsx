/** How the server stands, and the books of all hosts: what was sampled, stored, and lost and why. */

import type { Ledger } from "@nodeglass/client";
import { useAgents, useClient, words } from "@nodeglass/react";
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link, hostPath } from "../shell/route.tsx";

/** Books that are read; those of more hosts are on their own pages. */
const MOST_BOOKS = 200;
/** Books that are read at once. */
const AT_ONCE = 4;
const REFRESH_MS = 10_000;

/** See the file. */
export default function ServerPage() {
  const client = useClient();
  useEffect(() => {
    document.title = "Server · Nodeglass";
  }, []);
  const ready = useQuery({
    queryKey: ["ready"],
    queryFn: ({ signal }) => client.getReadiness({ signal }),
    refetchInterval: 5_000,
  });
  const agents = useAgents({}, REFRESH_MS).data?.agents;
  const ids = (agents ?? []).map((agent) => agent.agent_id).slice(0, MOST_BOOKS);
  const books = useQuery({
    queryKey: ["books", ids],
    enabled: ids.length > 0,
    refetchInterval: REFRESH_MS,
    queryFn: async ({ signal }) => {
      const found: Ledger[] = [];
      const waiting = [...ids];
      const read = async () => {
        for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) found.push(await client.getLedger(id, { signal }));
      };
      await Promise.all(Array.from({ length: AT_ONCE }, read));
      return found.sort((one, other) => problems(other) - problems(one) || one.agent_id.localeCompare(other.agent_id));
    },
  });
  const shown = books.data ?? [];
  const total = (of: (ledger: Ledger) => number | undefined) => shown.reduce((sum, ledger) => sum + (of(ledger) ?? 0), 0);
  const compaction = ready.data?.compaction;
  const behind = (compaction?.slots_behind ?? 0) > 1;
  return (
    <main className="server">
      <div className="headline">
        <h1>Server</h1>
        <p className={ready.data ? "state ok" : "state lost"} role="status">
          {ready.error ? (
            <>
              <i className="dot lost" /> {words(ready.error)}
            </>
          ) : ready.data ? (
            <>
              <i className="dot ok" /> {ready.data.status}
            </>
          ) : (
            "asking…"
          )}
        </p>
      </div>
      <section className="ng-panel" aria-label="Compaction">
        <header>
          <h2>Compaction</h2>
          {compaction && <span className={behind ? "pill warm" : "pill ok"}>{behind ? "behind" : "keeps up"}</span>}
        </header>
        <dl className="figures wide">
          {Object.entries(compaction ?? {}).map(([name, value]) => (
            <div key={name} className={value > 0 && /failures|unreadable|troubled/.test(name) ? "hot" : undefined}>
              <dt>{name.replaceAll("_", " ")}</dt>
              <dd>{value.toLocaleString("en")}</dd>
            </div>
          ))}
        </dl>
      </section>
      <section className="ng-panel books" aria-label="Ledger">
        <header>
          <h2>Ledger</h2>
          <small className="ng-note">
            every sample is stored exactly once, or counted as lost with its reason
            {agents && agents.length > MOST_BOOKS && `; the first ${MOST_BOOKS} of ${count(agents.length)} hosts by name, each other's is on its page`}
          </small>
        </header>
        <div className="scroll" tabIndex={0} role="region" aria-label="Ledger of each host">
          <table>
            <thead>
              <tr>
                <th scope="col">Host</th>
                <th scope="col">Sampled</th>
                <th scope="col">Stored</th>
                <th scope="col">On its way</th>
                <th scope="col">Duplicates</th>
                <th scope="col">Lost</th>
                <th scope="col">Why</th>
                <th scope="col">Books</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((ledger) => (
                <tr key={ledger.agent_id}>
                  <th scope="row">
                    <Link to={hostPath(ledger.agent_id)}>{ledger.agent_id}</Link>
                  </th>
                  <td>{count(ledger.balance?.sampled)}</td>
                  <td>{count(ledger.balance?.stored)}</td>
                  <td>{count(ledger.balance?.buffered)}</td>
                  <td>{count(ledger.server.duplicate)}</td>
                  <td className={ledger.balance?.lost ? "hot" : undefined}>{count(ledger.balance?.lost)}</td>
                  <td className="why">{reasons(ledger)}</td>
                  <td>
                    {!ledger.balance ? (
                      "–"
                    ) : (
                      <span className={ledger.balance.balanced ? "pill ok" : "pill hot"}>{ledger.balance.balanced ? "balanced" : "off"}</span>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
            {shown.length > 1 && (
              <tfoot>
                <tr>
                  <th scope="row">These {count(shown.length)} hosts</th>
                  <td>{count(total((ledger) => ledger.balance?.sampled))}</td>
                  <td>{count(total((ledger) => ledger.balance?.stored))}</td>
                  <td>{count(total((ledger) => ledger.balance?.buffered))}</td>
                  <td>{count(total((ledger) => ledger.server.duplicate))}</td>
                  <td>{count(total((ledger) => ledger.balance?.lost))}</td>
                  <td />
                  <td />
                </tr>
              </tfoot>
            )}
          </table>
        </div>
        {books.error && <p className="ng-blank">{words(books.error)}</p>}
        {!books.data && !books.error && <p className="ng-blank">{agents?.length === 0 ? "No hosts yet" : "Reading the books…"}</p>}
      </section>
    </main>
  );
}

function problems({ balance }: Ledger): number {
  return balance ? balance.lost + balance.unaccounted * 10 + Number(!balance.balanced) : 0;
}

function count(value: number | undefined): string {
  return value === undefined ? "–" : value.toLocaleString("en");
}

function reasons(ledger: Ledger): string {
  const all = { ...ledger.agent?.evicted, ...ledger.agent?.rejected };
  return Object.entries(all)
    .filter(([, samples]) => samples > 0)
    .map(([reason, samples]) => `${reason.replaceAll("_", " ")} ${samples.toLocaleString("en")}`)
    .join(", ");
}
