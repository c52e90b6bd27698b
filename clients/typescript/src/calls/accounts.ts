/** Calls about who may call: tokens, users, and the log of what they changed. All but reading the log's own entries is an admin's. */

import { type CallOptions, type Transport, moment, pathOf } from "../transport.ts";
import type * as t from "../types.ts";

/** Tokens of people and programs. */
export class Tokens {
  private readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** All of them, without what only their owners have. */
  async list(options: CallOptions = {}): Promise<t.Token[]> {
    return (await this.transport.get<{ tokens: t.Token[] }>("/tokens", {}, options)).tokens;
  }

  /** Makes a token. It is in the answer, and nowhere else. Throws `name_taken`. */
  add(wish: t.TokenToMake, options: CallOptions = {}): Promise<t.MadeToken> {
    return this.transport.json("POST", "/tokens", { ...options, json: wish });
  }

  /** Changes what a token allows; its open streams end if that is something else than before. Throws `unknown_name`. */
  change(name: string, change: t.TokenChange, options: CallOptions = {}): Promise<void> {
    return this.transport.json("PATCH", pathOf("tokens", name), { ...options, json: change });
  }

  /** Revokes a token: its streams end, and the sessions that were begun with it. Throws `unknown_name`. */
  revoke(name: string, options: CallOptions = {}): Promise<void> {
    return this.transport.json("DELETE", pathOf("tokens", name), options);
  }
}

/** People who sign in with a password. */
export class Users {
  private readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** All of them. */
  async list(options: CallOptions = {}): Promise<t.User[]> {
    return (await this.transport.get<{ users: t.User[] }>("/users", {}, options)).users;
  }

  /** Makes a user. Throws `name_taken`, or `weak_password` for one that is not taken. */
  add(wish: t.UserToMake, options: CallOptions = {}): Promise<t.User> {
    return this.transport.json("POST", "/users", { ...options, json: wish });
  }

  /** Changes what a user may do, or helps one who can't sign in any more. Their streams end. Throws `unknown_name`, `weak_password`. */
  change(name: string, change: t.UserChange, options: CallOptions = {}): Promise<void> {
    return this.transport.json("PATCH", pathOf("users", name), { ...options, json: change });
  }

  /** Removes a user: their streams and sessions end. Throws `unknown_name`. */
  remove(name: string, options: CallOptions = {}): Promise<void> {
    return this.transport.json("DELETE", pathOf("users", name), options);
  }
}

/** The log of what was changed, and what was denied. */
export class Audit {
  private readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** Entries, the latest first, a page at a time: `next_cursor` of one is the `cursor` of the next. */
  list(query: t.AuditQuery = {}, options: CallOptions = {}): Promise<t.AuditPage> {
    return this.transport.get("/audit", { ...query, start: moment(query.start), end: moment(query.end) }, options);
  }
}
