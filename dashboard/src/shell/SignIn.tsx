/** The sign-in page. */

import { ApiError } from "@nodeglass/client";
import { type FormEvent, useState } from "react";
import { Mark } from "./Mark.tsx";
import { signIn } from "./session.ts";

/** See the file. */
export function SignIn() {
  const [token, setToken] = useState("");
  const [keep, setKeep] = useState(false);
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await signIn(token.trim(), keep);
    } catch (failure) {
      setError(
        failure instanceof ApiError && failure.status === 401
          ? "The server does not know this token."
          : failure instanceof ApiError
            ? failure.message
            : "The server can't be reached. Is it running?",
      );
      setBusy(false);
    }
  };
  return (
    <main className="sign-in">
      <form onSubmit={submit}>
        <h1>
          <Mark /> Nodeglass
        </h1>
        <p>Sign in with the token that the server printed at its first start, or that an administrator made for you.</p>
        <label>
          Token
          <input
            type="password"
            name="token"
            autoComplete="current-password"
            autoFocus
            required
            spellCheck={false}
            placeholder="ngt_…"
            value={token}
            aria-invalid={error !== undefined}
            aria-describedby={error ? "sign-in-error" : undefined}
            onChange={(event) => setToken(event.target.value)}
          />
        </label>
        <label className="check">
          <input type="checkbox" checked={keep} onChange={(event) => setKeep(event.target.checked)} />
          Stay signed in on this device
        </label>
        {error && (
          <p id="sign-in-error" role="alert" className="problem">
            {error}
          </p>
        )}
        <button className="primary" disabled={isBusy}>
          {isBusy ? "Signing in…" : "Sign in"}
        </button>
        <details>
          <summary>Where do I find a token?</summary>
          <p>
            <code>nodeglass up</code> prints one at its first start. For another, run <code>nodeglass-server token add NAME</code> on
            the server's host.
          </p>
        </details>
      </form>
    </main>
  );
}
