/** Fields of one's own password and codes, and what is said where they are wrong. */

import { ApiError } from "@nodeglass/client";
import { words } from "@nodeglass/react";

/** Why it was not done. */
export function said(error: unknown): string {
  return error instanceof ApiError && error.code === "invalid_credentials" ? "The password or the code is not right." : words(error);
}

/** A password. */
export function PasswordField(props: { name: string; use: "current-password" | "new-password"; shortest?: number; isWrong?: boolean; value: string; onChange: (text: string) => void }) {
  return (
    <label>
      {props.name}
      <input
        type="password"
        required
        minLength={props.shortest}
        autoComplete={props.use}
        aria-invalid={props.isWrong ?? false}
        placeholder={props.shortest ? `${props.shortest} characters or more` : undefined}
        value={props.value}
        onChange={(event) => props.onChange(event.target.value)}
      />
    </label>
  );
}

/** A one-time code. */
export function CodeField(props: { hint: string; value: string; onChange: (text: string) => void }) {
  return (
    <label>
      Code
      <input required autoComplete="one-time-code" spellCheck={false} placeholder={props.hint} value={props.value} onChange={(event) => props.onChange(event.target.value)} />
    </label>
  );
}
