/** Calls about who is signed in: one's own session, password and one-time codes, and the sessions that are open. */

import { type CallOptions, type Transport, pathOf } from "../transport.ts";
import type * as t from "../types.ts";

/** One's own session, and what one signs in with. */
export class OwnSession {
  private readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** How one may sign in here. */
  ways(options: CallOptions = {}): Promise<t.WaysToSignIn> {
    return this.transport.get("/session/ways", {}, options);
  }

  /** Who one is: whose token, or whose session. Throws an error of 401 if one is nobody. */
  me(options: CallOptions = {}): Promise<t.Me> {
    return this.transport.get("/session", {}, options);
  }

  /**
   * Signs in, for a browser: the session is in a cookie that scripts can't read, and its `csrf_token` goes with what changes
   * something. Throws `invalid_credentials`, `code_required` where a one-time code is asked for, `too_many_tries`.
   */
  signIn(credentials: t.Credentials, options: CallOptions = {}): Promise<t.Me> {
    return this.transport.json("POST", "/session", { ...options, json: credentials });
  }

  /** Signs out: ends the session of the cookie, and its streams. Throws `no_session` if the call came without one. */
  signOut(options: CallOptions = {}): Promise<void> {
    return this.transport.json("DELETE", "/session", options);
  }

  /** Where to send a browser that is to sign in at the provider; it comes back to `returnTo`, a path of this server. */
  providerUrl(returnTo?: string): string {
    return `${this.transport.baseUrl}/session/oidc${returnTo === undefined ? "" : `?return_to=${encodeURIComponent(returnTo)}`}`;
  }

  /** Changes one's own password; one's other sessions end. Throws `invalid_credentials`, `weak_password`, `users_only`. */
  changePassword(change: t.OwnPassword, options: CallOptions = {}): Promise<void> {
    return this.transport.json("PUT", "/session/password", { ...options, json: change });
  }

  /** Begins to set up one-time codes: what an authenticator takes. Throws `invalid_credentials`, `users_only`. */
  beginCodes(password: string, options: CallOptions = {}): Promise<t.CodesSecret> {
    return this.transport.json("POST", "/session/totp", { ...options, json: { password } });
  }

  /** Confirms them with the first code; the answer has the recovery codes, once. Throws `invalid_credentials`, `nothing_begun`. */
  confirmCodes(code: string, options: CallOptions = {}): Promise<t.RecoveryCodes> {
    return this.transport.json("PUT", "/session/totp", { ...options, json: { code } });
  }

  /** Has one sign in without one-time codes. Throws `invalid_credentials`. */
  endCodes(proof: t.PasswordAndCode, options: CallOptions = {}): Promise<void> {
    return this.transport.json("POST", "/session/totp/off", { ...options, json: proof });
  }

  /** A ticket, with which one stream is opened, once, where no header can be sent: an `EventSource`, or a `WebSocket` at `/ws`. */
  ticket(options: CallOptions = {}): Promise<t.Ticket> {
    return this.transport.json("POST", "/tickets", options);
  }
}

/** Open sessions: an admin's are all, another's those of the same name. */
export class Sessions {
  private readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** All that one may see. */
  async list(options: CallOptions = {}): Promise<t.OpenSession[]> {
    return (await this.transport.get<{ sessions: t.OpenSession[] }>("/sessions", {}, options)).sessions;
  }

  /** Ends one, and its streams. Throws `unknown_name`. */
  end(session: string, options: CallOptions = {}): Promise<void> {
    return this.transport.json("DELETE", pathOf("sessions", session), options);
  }
}
