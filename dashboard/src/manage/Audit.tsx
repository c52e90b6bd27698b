/** What was changed, and what was denied: searched, and page by page as far back as it goes. What is sought is in the address. */

import type { AuditQuery } from "@nodeglass/client";
import { moment, useClient, words } from "@nodeglass/react";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { setQuery, useRoute } from "../shell/route.tsx";
import { useSettings } from "../shell/settings.ts";
import { List } from "./Table.tsx";

const PAGE = 200;
/** How often it is looked for new entries, as long as only the first page is shown: pages would shift. */
const REFRESH_MS = 10_000;

/** Fields of the search: their names in the address, what they are called, and what stands there for an example. */
const FIELDS = [
  ["who", "Who", "ada"],
  ["what", "What", "token.*"],
  ["subject", "To what", "web-01"],
] as const;
type Field = (typeof FIELDS)[number][0];

const SINCE: readonly [text: string, start: string][] = [
  ["any time", ""],
  ["the last hour", "-1h"],
  ["the last day", "-24h"],
  ["the last week", "-7d"],
  ["the last 30 days", "-30d"],
];
const OUTCOMES = ["done", "denied", "failed"] as const;

/** What the address asks for; what it has that can't be is passed over. */
export function readSearch(query: URLSearchParams): AuditQuery {
  const text = (name: string) => query.get(name)?.trim() || undefined;
  const outcome = OUTCOMES.find((one) => one === query.get("outcome"));
  const start = SINCE.find(([, one]) => one && one === query.get("since"))?.[1];
  return Object.fromEntries(Object.entries({ name: text("who"), action: text("what"), subject: text("subject"), outcome, start }).filter(([, value]) => value !== undefined));
}

/** See the file. */
export function Audit() {
  const client = useClient();
  const { query } = useRoute();
  const search = readSearch(query);
  const { data, error, hasNextPage, fetchNextPage, isFetchingNextPage, isPlaceholderData } = useInfiniteQuery({
    queryKey: ["list", "audit", search],
    queryFn: ({ signal, pageParam }) => client.audit.list({ ...search, limit: PAGE, ...(pageParam === undefined ? {} : { cursor: pageParam }) }, { signal }),
    initialPageParam: undefined as AuditQuery["cursor"],
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 1) > 1 ? false : REFRESH_MS),
    placeholderData: keepPreviousData,
  });
  const { utc } = useSettings();
  const entries = data?.pages.flatMap((page) => page.entries);
  const dropped = data?.pages[0]?.dropped ?? 0;
  const isSought = Object.keys(search).length > 0;
  return (
    <List
      title="the audit log"
      head={["When", "Who", "From", "What", "To what", "Outcome", "More"]}
      error={data ? undefined : error}
      problem={data && error ? words(error) : undefined}
      isEmpty={entries?.length === 0}
      empty={isSought ? "Nothing of that kind" : "Nothing yet"}
      tools={
        <>
          <Search key={FIELDS.map(([name]) => query.get(name)).join("\n")} query={query} isSought={isSought} />
          {dropped > 0 && <p className="problem">{dropped} entries found no room</p>}
        </>
      }
      below={
        hasNextPage && (
          <button type="button" className="quiet" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {isFetchingNextPage ? "Reading…" : "Earlier entries"}
          </button>
        )
      }
      isStale={isPlaceholderData}
    >
      {entries?.map((entry) => (
        <tr key={entry.id}>
          <td>{moment(entry.at, utc)}</td>
          <th scope="row">{entry.name || entry.kind}</th>
          <td>{entry.address}</td>
          <td>
            {entry.action}
            {entry.count > 1 && ` × ${entry.count}`}
          </td>
          <td>{entry.subject}</td>
          <td className={entry.outcome === "done" ? undefined : "hot"}>{entry.outcome}</td>
          <td>{entry.detail}</td>
        </tr>
      ))}
    </List>
  );
}

/** The fields; what is typed counts when it is sent off, what is chosen at once. */
function Search({ query, isSought }: { query: URLSearchParams; isSought: boolean }) {
  const [typed, setTyped] = useState<Record<Field, string>>({ who: "", what: "", subject: "" });
  useEffect(() => setTyped({ who: query.get("who") ?? "", what: query.get("what") ?? "", subject: query.get("subject") ?? "" }), [query]);
  const find = (event: FormEvent) => {
    event.preventDefault();
    setQuery(typed, false);
  };
  return (
    <form className="toolbar" role="search" aria-label="Search the audit log" onSubmit={find}>
      {FIELDS.map(([name, title, example]) => (
        <label key={name} className="choice">
          <span>{title}</span>
          <input type="search" placeholder={example} value={typed[name]} onChange={(event) => setTyped({ ...typed, [name]: event.target.value })} />
        </label>
      ))}
      <label className="choice">
        <span>Outcome</span>
        <select value={query.get("outcome") ?? ""} onChange={(event) => setQuery({ outcome: event.target.value })}>
          <option value="">all</option>
          {OUTCOMES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <label className="choice">
        <span>Since</span>
        <select value={query.get("since") ?? ""} onChange={(event) => setQuery({ since: event.target.value })}>
          {SINCE.map(([text, start]) => (
            <option key={start} value={start}>
              {text}
            </option>
          ))}
        </select>
      </label>
      <button className="primary">Find</button>
      {isSought && (
        <button type="button" className="quiet" onClick={() => setQuery({ who: undefined, what: undefined, subject: undefined, outcome: undefined, since: undefined }, false)}>
          Show all
        </button>
      )}
    </form>
  );
}
