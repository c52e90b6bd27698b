/** A new password of one's own. */

import { type FormEvent, useState } from "react";
import { useChange } from "../resource.ts";
import { PasswordField, said } from "./fields.tsx";

/** The server takes no shorter one. */
const SHORTEST = 12;

/** See the file. */
export function Password({ name }: { name: string }) {
  const { change, problem } = useChange(said);
  const [old, setOld] = useState("");
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  const [isDone, setDone] = useState(false);
  const differs = again !== "" && next !== again;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setDone(false);
    if (next !== again || !(await change((client) => client.session.changePassword({ old, new: next })))) return;
    setOld("");
    setNext("");
    setAgain("");
    setDone(true);
  };
  return (
    <section className="ng-panel list" aria-label="Password">
      <h2>Password</h2>
      <form className="own" onSubmit={submit} aria-label="Change the password">
        {/* Whoever keeps passwords wants to know whose it is. */}
        <input hidden readOnly autoComplete="username" value={name} />
        <PasswordField name="Present password" use="current-password" value={old} onChange={setOld} />
        <PasswordField name="New password" use="new-password" shortest={SHORTEST} value={next} onChange={setNext} />
        <PasswordField name="New password again" use="new-password" isWrong={differs} value={again} onChange={setAgain} />
        {differs && <p className="problem">The two are not the same</p>}
        {problem && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
        {isDone && <p role="status">Changed. Your other sessions have ended.</p>}
        <button className="primary" disabled={differs}>
          Change the password
        </button>
      </form>
    </section>
  );
}
