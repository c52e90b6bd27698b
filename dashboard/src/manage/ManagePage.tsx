/** What people manage: hosts, their settings, tokens, users, sessions, the log of what was done, and their own account; by role. */

import { type ComponentType, useEffect } from "react";
import { Link, useRoute } from "../shell/route.tsx";
import { mayManage, useMe } from "../shell/session.ts";
import { Audit } from "./Audit.tsx";
import { Hosts } from "./Hosts.tsx";
import { Sessions } from "./Sessions.tsx";
import { Tokens } from "./Tokens.tsx";
import { Users } from "./Users.tsx";
import { Account } from "./account/Account.tsx";
import { Settings } from "./settings/Settings.tsx";

/** The parts, and whether only those may see them who manage everybody. */
const PARTS: readonly [path: string, name: string, part: ComponentType, forAdmins: boolean][] = [
  ["/manage", "Hosts", Hosts, true],
  ["/manage/settings", "Settings", Settings, false],
  ["/manage/tokens", "Tokens", Tokens, true],
  ["/manage/users", "Users", Users, true],
  ["/manage/sessions", "Sessions", Sessions, false],
  ["/manage/audit", "Audit log", Audit, true],
  ["/manage/account", "Your account", Account, false],
];

/** See the file. */
export default function ManagePage() {
  const { path } = useRoute();
  const me = useMe();
  const isAdmin = mayManage(me);
  const shown = PARTS.filter(([, , , forAdmins]) => isAdmin || !forAdmins);
  const [, name, Part] = shown.find(([at]) => at === path) ?? shown[0] ?? PARTS[0] ?? [];
  useEffect(() => {
    document.title = `${name} · Nodeglass`;
  }, [name]);
  return (
    <main className="manage">
      <div className="headline">
        <h1>Manage</h1>
        <nav aria-label="Parts" className="segments">
          {shown.map(([at, title]) => (
            <Link key={at} to={at} aria-current={title === name ? "page" : undefined}>
              {title}
            </Link>
          ))}
        </nav>
        {me && (
          <p className="facts">
            signed in as {me.name}, {me.role}
          </p>
        )}
      </div>
      {Part && <Part />}
    </main>
  );
}
