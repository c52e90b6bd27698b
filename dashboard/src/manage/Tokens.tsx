/** Tokens of people and programs. */

import type { MadeToken, Role, Token } from "@nodeglass/client";
import { ago, moment } from "@nodeglass/react";
import { type FormEvent, useState } from "react";
import { useSettings } from "../shell/settings.ts";
import { Copy } from "../shell/Copy.tsx";
import { List, RoleField } from "./Table.tsx";
import { agentsOf, scope, useChange, useList } from "./resource.ts";

const DAY_SECONDS = 86_400;

/** See the file. */
export function Tokens() {
  const { data, error } = useList(["tokens"], (client, options) => client.tokens.list(options));
  const { change, problem } = useChange();
  const { utc } = useSettings();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [agents, setAgents] = useState("");
  const [days, setDays] = useState("");
  const [made, setMade] = useState<MadeToken>();
  const add = async (event: FormEvent) => {
    event.preventDefault();
    const expires = Number(days) > 0 ? { expires_in_seconds: Math.round(Number(days) * DAY_SECONDS) } : {};
    const named = agentsOf(agents);
    const token = await change((client) => client.tokens.add({ name, role, ...(named ? { agents: named } : {}), ...expires }));
    if (!token) return;
    setMade(token);
    setName("");
  };
  const revoke = (token: Token) =>
    confirm(`Revoke the token ${token.name}? Whoever uses it is turned away at once.`) && void change((client) => client.tokens.revoke(token.name));
  return (
    <List
      title="tokens"
      head={["Name", "Role", "Sees", "Made", "Last used", "Ends", ""]}
      error={error}
      problem={problem}
      isEmpty={data?.length === 0}
      empty="No tokens"
      tools={
        <>
          <form className="toolbar" onSubmit={add} aria-label="Make a token">
            <label className="choice">
              <span>Name</span>
              <input required pattern="[A-Za-z0-9._@+\-]{1,64}" placeholder="grafana" value={name} onChange={(event) => setName(event.target.value)} />
            </label>
            <RoleField value={role} onChange={setRole} />
            <label className="choice">
              <span>Hosts</span>
              <input placeholder="all, or web-*, env=prod" value={agents} onChange={(event) => setAgents(event.target.value)} />
            </label>
            <label className="choice">
              <span>Days</span>
              <input type="number" min="1" max="3650" placeholder="for ever" value={days} onChange={(event) => setDays(event.target.value)} />
            </label>
            <button className="primary">Make a token</button>
          </form>
          {made && (
            <div className="made" role="status">
              <p>
                The token <b>{made.name}</b>. It is shown this once:
              </p>
              <Copy what="the token" text={made.token} />
              <button type="button" className="quiet small" onClick={() => setMade(undefined)}>
                I have it
              </button>
            </div>
          )}
        </>
      }
    >
      {data?.map((token) => (
        <tr key={token.name}>
          <th scope="row">{token.name}</th>
          <td>{token.role}</td>
          <td>{scope(token.agents)}</td>
          <td>{moment(token.created_at, utc)}</td>
          <td>{ago(token.last_used_at, Date.now())}</td>
          <td>{token.expires_at ? moment(token.expires_at, utc) : "never"}</td>
          <td>
            <button type="button" className="quiet small danger" onClick={() => revoke(token)}>
              Revoke<span className="ng-sr"> {token.name}</span>
            </button>
          </td>
        </tr>
      ))}
    </List>
  );
}
