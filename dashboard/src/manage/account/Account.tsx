/** What people change of their own: the password, and one-time codes. */

import { useMe } from "../../shell/session.ts";
import { OneTimeCodes } from "./OneTimeCodes.tsx";
import { Password } from "./Password.tsx";

/** Those without a password here, and why. */
const ELSEWHERE = {
  token: "You signed in with a token. Tokens have no password and no one-time codes: an admin makes and revokes them.",
  oidc: "You signed in at a provider, who keeps your password and asks for your codes.",
};

/** See the file. */
export function Account() {
  const me = useMe();
  if (!me) return null;
  return (
    <div className="account">
      <section className="ng-panel list" aria-label="You">
        <h2>{me.name}</h2>
        <p className="facts">
          {me.role}, {me.agents ? `sees ${me.agents.join(", ")}` : "sees all hosts"}
        </p>
        {me.kind !== "user" && <p>{ELSEWHERE[me.kind]}</p>}
      </section>
      {me.kind === "user" && (
        <>
          <Password name={me.name} />
          <OneTimeCodes isOn={me.one_time_codes ?? false} />
        </>
      )}
    </div>
  );
}
