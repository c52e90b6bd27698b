/** What became of every sample of a host. */

import { moment, reasonOf, useLedger, words } from "@nodeglass/react";
import { useSettings } from "../shell/settings.ts";

/** Gaps in the list, the latest first. */
const GAPS = 5;

/** See the file. */
export function LedgerCard({ agentId }: { agentId: string }) {
  const { data, error } = useLedger(agentId);
  const { utc } = useSettings();
  const balance = data?.balance;
  const gaps = (data?.agent?.gaps ?? []).slice(-GAPS).reverse();
  return (
    <section className="ng-panel ledger" aria-label="Ledger">
      <header>
        <h2 title="Every sample is stored exactly once, or counted as lost with its reason">Ledger</h2>
        {balance && <span className={balance.balanced ? "pill ok" : "pill hot"}>{balance.balanced ? "balanced" : "does not balance"}</span>}
      </header>
      {!data ? (
        <p className="ng-blank">{error ? words(error) : "Reading the books…"}</p>
      ) : (
        <>
          <dl className="figures">
            {(
              [
                ["Sampled", balance?.sampled],
                ["Stored", balance?.stored],
                ["On its way", balance?.buffered],
                ["Lost", balance?.lost],
              ] as const
            ).map(([name, value]) => (
              <div key={name} className={name === "Lost" && value ? "hot" : undefined}>
                <dt>{name}</dt>
                <dd>{value === undefined ? "–" : value.toLocaleString("en")}</dd>
              </div>
            ))}
          </dl>
          {gaps.length > 0 && (
            <ul className="gaps">
              {gaps.map((gap) => (
                <li key={`${gap.from} ${gap.reason}`}>
                  <span>{reasonOf(gap)}</span> <small>{moment(gap.from, utc)}</small>
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </section>
  );
}
