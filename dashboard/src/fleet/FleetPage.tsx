/** Every host at a glance. */

import { words } from "@nodeglass/react";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { Copy } from "../shell/Copy.tsx";
import { Link, setQuery, useRoute } from "../shell/route.tsx";
import { client, mayManage, useMe } from "../shell/session.ts";
import { useSettings } from "../shell/settings.ts";
import { useKeys } from "../shell/useNow.ts";
import { Icon } from "../shell/Frame.tsx";
import { type Arrangement, type Row, SORTS, type Sort, arrange } from "./arrange.ts";
import { FleetTable } from "./FleetTable.tsx";
import { FleetTiles } from "./FleetTiles.tsx";
import { Mosaic } from "./Mosaic.tsx";
import { HEALTH, type Health } from "./health.ts";
import { Fleet, type Host } from "./store.ts";

const fleet = new Fleet(client);

/** Rows are put in order again so often, and never under the pointer; at first with each answer, until the past of all is known. */
const SORT_EVERY = 3;
const SETTLED_AFTER = 8;

const HEALTH_NAMES: Record<Health, string> = { ok: "Fine", warm: "Warm", hot: "Hot", lost: "Lost" };

/** See the file. */
export function FleetPage() {
  const version = useSyncExternalStore(fleet.subscribe, fleet.snapshot);
  const { query } = useRoute();
  const { shown: theme } = useSettings();
  const search = useRef<HTMLInputElement>(null);
  const [isPointed, setPointed] = useState(false);
  const view = query.get("view") === "tiles" ? "tiles" : "table";
  const wish: Arrangement = {
    search: query.get("q") ?? "",
    sort: (query.get("sort") ?? "worst") in SORTS ? ((query.get("sort") ?? "worst") as Sort) : "worst",
    isTurned: query.get("turned") === "1",
    group: query.get("group") ?? "",
    health: query.get("health") ?? "",
  };
  useKeys({
    "/": () => search.current?.focus(),
    t: () => setQuery({ view: view === "table" ? "tiles" : undefined }),
  });
  useEffect(() => {
    document.title = "Fleet · Nodeglass";
  }, []);

  const rows = useRows(version, wish, isPointed);
  const counts = count(fleet.hosts.values());
  const labels = useMemo(() => labelNames(fleet.hosts.values()), [fleet.hosts.size, version % 10]);
  const { isLoaded, error, at } = fleet.state;
  const sortBy = (sort: Sort) =>
    setQuery(sort === wish.sort ? { turned: wish.isTurned ? undefined : "1" } : { sort: sort === "worst" ? undefined : sort, turned: undefined });

  return (
    <main className="fleet">
      <div className="headline">
        <h1>Fleet</h1>
        <ul className="counts" aria-label="Hosts by how they stand">
          <li>
            <button type="button" aria-pressed={!wish.health} onClick={() => setQuery({ health: undefined })}>
              <b>{fleet.hosts.size}</b> {fleet.hosts.size === 1 ? "host" : "hosts"}
            </button>
          </li>
          {HEALTH.map((health) => (
            <li key={health}>
              <button
                type="button"
                className={health}
                aria-pressed={wish.health === health}
                onClick={() => setQuery({ health: wish.health === health ? undefined : health })}
              >
                <i className={`dot ${health}`} /> <b>{counts[health]}</b> {HEALTH_NAMES[health].toLowerCase()}
              </button>
            </li>
          ))}
        </ul>
        <p className="live" role="status">
          {error ? (
            <>
              <i className="dot lost" /> {at ? "No new figures: " : ""}
              {words(error)}
            </>
          ) : isLoaded ? (
            <>
              <i className="dot ok pulse" /> live
            </>
          ) : (
            "connecting…"
          )}
        </p>
      </div>
      {fleet.hosts.size > 1 && <Mosaic hosts={[...fleet.hosts.values()]} version={version} theme={theme} />}
      <div className="toolbar" role="search">
        <label className="search">
          <Icon path="M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15.5 15.5 20 20" />
          <span className="ng-sr">Find hosts by name or label</span>
          <input
            ref={search}
            type="search"
            placeholder="Find by name or label=value  ( / )"
            value={wish.search}
            onChange={(event) => setQuery({ q: event.target.value })}
            onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
          />
        </label>
        <label className="choice">
          <span>Sort</span>
          <select value={wish.sort} onChange={(event) => setQuery({ sort: event.target.value === "worst" ? undefined : event.target.value, turned: undefined })}>
            {Object.entries(SORTS).map(([key, name]) => (
              <option key={key} value={key}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label className="choice">
          <span>Group</span>
          <select value={wish.group} onChange={(event) => setQuery({ group: event.target.value })}>
            <option value="">none</option>
            <option value="health">state</option>
            <option value="prefix">name prefix</option>
            {labels.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <div className="segments" role="group" aria-label="View">
          <button type="button" aria-pressed={view === "table"} onClick={() => setQuery({ view: undefined })}>
            Table
          </button>
          <button type="button" aria-pressed={view === "tiles"} onClick={() => setQuery({ view: "tiles" })}>
            Tiles
          </button>
        </div>
      </div>
      {!isLoaded ? (
        <Waiting error={error} />
      ) : fleet.hosts.size === 0 ? (
        <NoHosts />
      ) : rows.length === 0 ? (
        <p className="blank">
          No host fits. <Link to="/">Show all</Link>
        </p>
      ) : (
        <div onPointerEnter={() => setPointed(true)} onPointerLeave={() => setPointed(false)} className={error ? "stale" : undefined}>
          {view === "table" ? (
            <FleetTable rows={rows} version={version} theme={theme} wish={wish} onSort={sortBy} />
          ) : (
            <FleetTiles rows={rows} version={version} theme={theme} />
          )}
        </div>
      )}
    </main>
  );
}

/** The rows, put in order now and then, and at once when something else is asked for. */
function useRows(version: number, wish: Arrangement, isPointed: boolean): Row[] {
  const key = JSON.stringify([wish, fleet.hosts.size]);
  const kept = useRef<{ key: string; version: number; rows: Row[] }>({ key: "", version: 0, rows: [] });
  if (kept.current.key !== key || (!isPointed && version - kept.current.version >= (version < SETTLED_AFTER ? 1 : SORT_EVERY)))
    kept.current = { key, version, rows: arrange(fleet.hosts.values(), wish) };
  return kept.current.rows;
}

function count(hosts: Iterable<Host>): Record<Health, number> {
  const counts: Record<Health, number> = { ok: 0, warm: 0, hot: 0, lost: 0 };
  for (const host of hosts) counts[host.health] += 1;
  return counts;
}

function labelNames(hosts: Iterable<Host>): string[] {
  const found = new Set<string>();
  for (const host of hosts) for (const name in host.labels) found.add(name);
  return [...found].sort();
}

function Waiting({ error }: { error: unknown }) {
  if (error) return <p className="blank">The server can't be asked: {words(error)}. Trying again.</p>;
  return (
    <div className="ghosts" role="status">
      <span className="ng-sr">Loading</span>
      {Array.from({ length: 6 }, (_, at) => (
        <i key={at} />
      ))}
    </div>
  );
}

function NoHosts() {
  const isAdmin = mayManage(useMe());
  return (
    <section className="blank welcome">
      <h2>No hosts yet</h2>
      {isAdmin && (
        <p>
          <Link to="/manage" className="primary">
            Add a host
          </Link>
        </p>
      )}
      <p>{isAdmin ? "Or add it beside the running server:" : "Whoever runs the server adds the first one beside it:"}</p>
      <Copy what="the command" text="nodeglass-server agent add web-01 --config config/server.yaml" />
      <p>then hand the string that it prints to the agent on that host:</p>
      <Copy what="the commands" text={"nodeglass-agent enroll STRING\nnodeglass-agent run"} />
      <p>It appears here with its first sample.</p>
    </section>
  );
}
