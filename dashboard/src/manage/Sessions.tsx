/** Who is signed in. */

import { ago, moment } from "@nodeglass/react";
import { useSettings } from "../shell/settings.ts";
import { List } from "./Table.tsx";
import { useChange, useList } from "./resource.ts";

interface Session {
  id: string;
  name: string;
  kind: string;
  role: string;
  address: string;
  created_at: number;
  last_seen_at: number;
  expires_at: number;
  current: boolean;
}

/** See the file. */
export function Sessions() {
  const { data, error } = useList<{ sessions: Session[] }>("/sessions");
  const { change, problem } = useChange();
  const { utc } = useSettings();
  return (
    <List title="sessions" head={["Who", "By", "Role", "From", "Begun", "Last seen", "Ends", ""]} error={error} problem={problem} isEmpty={data?.sessions.length === 0} empty="Nobody is signed in with a session">
      {data?.sessions.map((session) => (
        <tr key={session.id}>
          <th scope="row">{session.name}</th>
          <td>{session.kind}</td>
          <td>{session.role}</td>
          <td>{session.address}</td>
          <td>{moment(session.created_at, utc)}</td>
          <td>{ago(session.last_seen_at, Date.now())}</td>
          <td>{moment(session.expires_at, utc)}</td>
          <td>
            {session.current ? (
              <span className="pill">this one</span>
            ) : (
              <button type="button" className="quiet small danger" onClick={() => void change("DELETE", `/sessions/${encodeURIComponent(session.id)}`)}>
                End<span className="ng-sr"> the session of {session.name}</span>
              </button>
            )}
          </td>
        </tr>
      ))}
    </List>
  );
}
