/** One-time codes of an authenticator: set up, with recovery codes that are shown once, and turned off. */

import type { CodesSecret } from "@nodeglass/client";
import encodeQR from "qr";
import { type FormEvent, useMemo, useState } from "react";
import { Copy } from "../../shell/Copy.tsx";
import { ask } from "../../shell/session.ts";
import { useChange } from "../resource.ts";
import { CodeField, PasswordField, said } from "./fields.tsx";

/** White around a code, in modules: readers want four. */
const QUIET = 4;

/** See the file. */
export function OneTimeCodes({ isOn }: { isOn: boolean }) {
  const { change, problem } = useChange(said);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [begun, setBegun] = useState<CodesSecret>();
  const [recovery, setRecovery] = useState<string[]>();
  const clear = () => {
    setPassword("");
    setCode("");
  };
  const begin = async (event: FormEvent) => {
    event.preventDefault();
    const secret = await change((client) => client.session.beginCodes(password));
    if (!secret) return;
    clear();
    setBegun(secret);
  };
  const confirmed = async (event: FormEvent) => {
    event.preventDefault();
    const answer = await change((client) => client.session.confirmCodes(code.trim()));
    if (!answer) return;
    clear();
    setBegun(undefined);
    setRecovery(answer.recovery_codes);
    await ask();
  };
  const end = async (event: FormEvent) => {
    event.preventDefault();
    if (!(await change((client) => client.session.endCodes({ password, code: code.trim() })))) return;
    clear();
    await ask();
  };
  const alert = problem && (
    <p className="problem" role="alert">
      {problem}
    </p>
  );
  return (
    <section className="ng-panel list" aria-label="One-time codes">
      <h2>
        One-time codes <span className={isOn ? "pill ok" : "pill"}>{isOn ? "on" : "off"}</span>
      </h2>
      {recovery ? (
        <div className="made" role="status">
          <p>One-time codes are on. Whoever loses the device signs in with one of these, each good once. They are shown this once:</p>
          <Copy text={recovery.join("\n")} what="the recovery codes" />
          <button type="button" className="quiet small" onClick={() => setRecovery(undefined)}>
            I have them
          </button>
        </div>
      ) : begun ? (
        <form className="own" onSubmit={confirmed} aria-label="Confirm one-time codes">
          <p>
            Show this to an authenticator, <a href={begun.otpauth_url}>open it there</a>, or type the secret. Within ten minutes:
          </p>
          <QrCode text={begun.otpauth_url} />
          <pre tabIndex={0} aria-label="Secret">
            {begun.secret}
          </pre>
          <CodeField hint="six digits" value={code} onChange={setCode} />
          {alert}
          <div className="toolbar">
            <button className="primary">Turn on</button>
            <button type="button" className="quiet" onClick={() => setBegun(undefined)}>
              Cancel
            </button>
          </div>
        </form>
      ) : isOn ? (
        <form className="own" onSubmit={end} aria-label="Turn one-time codes off">
          <p className="facts">Signing in takes a code beside your password.</p>
          <PasswordField name="Password" use="current-password" value={password} onChange={setPassword} />
          <CodeField hint="six digits, or a recovery code" value={code} onChange={setCode} />
          {alert}
          <button className="primary">Turn off</button>
        </form>
      ) : (
        <form className="own" onSubmit={begin} aria-label="Set up one-time codes">
          <p className="facts">An authenticator on your phone makes codes that signing in takes beside your password.</p>
          <PasswordField name="Password" use="current-password" value={password} onChange={setPassword} />
          {alert}
          <button className="primary">Set up</button>
        </form>
      )}
    </section>
  );
}

/** A text as a picture for a camera: dark on white in either colours. */
function QrCode({ text }: { text: string }) {
  const code = useMemo(() => encodeQR(text, "raw", { ecc: "medium", border: QUIET }), [text]);
  const path = code.flatMap((row, y) => row.flatMap((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : []))).join("");
  return (
    <svg className="qr" viewBox={`0 0 ${code.length} ${code.length}`} role="img" aria-label="The secret, for a camera" shapeRendering="crispEdges">
      <path d={path} />
    </svg>
  );
}
