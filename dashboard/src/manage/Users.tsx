/** People who sign in with a password. */

import type { Role, User } from "@nodeglass/client";
import { type FormEvent, useState } from "react";
import { List, RoleField } from "./Table.tsx";
import { agentsOf, scope, useChange, useList } from "./resource.ts";

/** See the file. */
export function Users() {
  const { data, error } = useList(["users"], (client, options) => client.users.list(options));
  const { change, problem } = useChange();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [agents, setAgents] = useState("");
  const add = async (event: FormEvent) => {
    event.preventDefault();
    const named = agentsOf(agents);
    const made = await change((client) => client.users.add({ name, role, password, ...(named ? { agents: named } : {}) }));
    if (!made) return;
    setName("");
    setPassword("");
  };
  const remove = (user: User) =>
    confirm(`Remove the user ${user.name}? Their sessions end.`) && void change((client) => client.users.remove(user.name));
  return (
    <List
      title="users"
      head={["Name", "Role", "Sees", "One-time codes", ""]}
      error={error}
      problem={problem}
      isEmpty={data?.length === 0}
      empty="No users yet. People can sign in with a token, too."
      tools={
        <form className="toolbar" onSubmit={add} aria-label="Add a user">
          <label className="choice">
            <span>Name</span>
            <input required placeholder="ada" autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} />
          </label>
          <label className="choice">
            <span>First password</span>
            <input required type="password" minLength={12} autoComplete="new-password" placeholder="12 characters or more" value={password} onChange={(event) => setPassword(event.target.value)} />
          </label>
          <RoleField value={role} onChange={setRole} />
          <label className="choice">
            <span>Hosts</span>
            <input placeholder="all, or web-*, env=prod" value={agents} onChange={(event) => setAgents(event.target.value)} />
          </label>
          <button className="primary">Add user</button>
        </form>
      }
    >
      {data?.map((user) => (
        <tr key={user.name}>
          <th scope="row">{user.name}</th>
          <td>
            <select
              aria-label={`Role of ${user.name}`}
              value={user.role}
              onChange={(event) => void change((client) => client.users.change(user.name, { role: event.target.value as Role }))}
            >
              <option>viewer</option>
              <option>operator</option>
              <option>admin</option>
            </select>
          </td>
          <td>{scope(user.agents)}</td>
          <td>{user.one_time_codes ? "on" : "off"}</td>
          <td>
            <button type="button" className="quiet small danger" onClick={() => remove(user)}>
              Remove<span className="ng-sr"> {user.name}</span>
            </button>
          </td>
        </tr>
      ))}
    </List>
  );
}
