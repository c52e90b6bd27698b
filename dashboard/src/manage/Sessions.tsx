/** Who is signed in. */

import { ago, moment } from "@nodeglass/react";
import { useSettings } from "../shell/settings.ts";
import { List } from "./Table.tsx";
import { useChange, useList } from "./resource.ts";

/** See the file. */
export function Sessions() {
  const { data, error } = useList(["sessions"], (client, options) => client.sessions.list(options));
  const { change, problem } = useChange();
  const { utc } = useSettings();
  return (
    <List title="sessions" head={["Who", "By", "Role", "From", "Begun", "Last seen", "Ends", ""]} error={error} problem={problem} isEmpty={data?.length === 0} empty="Nobody is signed in with a session">
      {data?.map((session) => (
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
              <button type="button" className="quiet small danger" onClick={() => void change((client) => client.sessions.end(session.id))}>
                End<span className="ng-sr"> the session of {session.name}</span>
              </button>
            )}
          </td>
        </tr>
      ))}
    </List>
  );
}
