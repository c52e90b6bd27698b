/** The sign-in page: with a name and a password, with a token, or at a provider. */

import { ApiError, type WaysToSignIn } from "@nodeglass/client";
import { type FormEvent, useEffect, useState } from "react";
import { Mark } from "./Mark.tsx";
import { client, signIn } from "./session.ts";

type Way = "user" | "token";

/** See the file. */
export function SignIn() {
  const [ways, setWays] = useState<WaysToSignIn>();
  const [way, setWay] = useState<Way>("token");
  const [token, setToken] = useState("");
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState<string>();
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    document.title = "Sign in · Nodeglass";
    client.session.ways().then(setWays, () => {});
  }, []);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await signIn(way === "token" ? { token: token.trim() } : { user: user.trim(), password, ...(code ? { code: code.trim() } : {}) });
    } catch (failure) {
      setBusy(false);
      if (failure instanceof ApiError && failure.code === "code_required") return setCode("");
      setError(failure instanceof ApiError ? said(failure, way) : "The server can't be reached. Is it running?");
    }
  };
  const invalid = { "aria-invalid": error !== undefined, "aria-describedby": error ? "sign-in-error" : undefined };
  return (
    <main className="sign-in">
      <form onSubmit={submit}>
        <h1>
          <Mark /> Nodeglass
        </h1>
        {ways?.password && (
          <div className="segments" role="group" aria-label="Sign in with">
            {(["token", "user"] as const).map((one) => (
              <button key={one} type="button" aria-pressed={way === one} onClick={() => setWay(one)}>
                {one === "user" ? "Name and password" : "Token"}
              </button>
            ))}
          </div>
        )}
        {way === "token" ? (
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
              onChange={(event) => setToken(event.target.value)}
              {...invalid}
            />
          </label>
        ) : (
          <>
            <label>
              Name
              <input name="user" autoComplete="username" autoFocus required value={user} onChange={(event) => setUser(event.target.value)} {...invalid} />
            </label>
            <label>
              Password
              <input type="password" name="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} {...invalid} />
            </label>
            {code !== undefined && (
              <label>
                Code
                <input name="code" inputMode="numeric" autoComplete="one-time-code" autoFocus required placeholder="six digits, or a recovery code" value={code} onChange={(event) => setCode(event.target.value)} />
              </label>
            )}
          </>
        )}
        {error && (
          <p id="sign-in-error" role="alert" className="problem">
            {error}
          </p>
        )}
        <button className="primary" disabled={isBusy}>
          {isBusy ? "Signing in…" : "Sign in"}
        </button>
        {ways?.oidc && (
          <a className="other" href={client.session.providerUrl(location.pathname + location.search)}>
            {ways.oidc}
          </a>
        )}
        {way === "token" && (
          <details>
            <summary>Where do I find a token?</summary>
            <p>
              <code>nodeglass up</code> prints one at its first start. For another, run <code>nodeglass-server token add NAME</code> on
              the server's host.
            </p>
          </details>
        )}
      </form>
    </main>
  );
}

function said(failure: ApiError, way: Way): string {
  if (failure.status !== 401) return failure.message;
  return way === "token" ? "The server does not know this token." : "Name, password or code are not right.";
}
