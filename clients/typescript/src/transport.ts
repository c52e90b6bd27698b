/** How calls travel: the address, who asks, parameters, bodies, and errors in the server's words. What is asked is said elsewhere. */

import { ApiError } from "./errors.ts";
import type { ServerEvent } from "./events.ts";
import { MetricsStream, type StreamOptions } from "./stream.ts";

/** A moment: Unix seconds or milliseconds, a `Date`, RFC 3339, `now`, or an age such as `-1h`. */
export type Moment = number | string | Date;

/** Where the server is, and who asks. */
export interface ClientOptions {
  /** Where the API stands: `https://monitor.example.org:7080/api/v1`; without it, `/api/v1` of the page's own server. */
  baseUrl?: string;
  /** The token, or what gives it at each call. Pages that signed in with a cookie need none. */
  token?: string | (() => string | undefined);
  /** Sent with every call that changes something, where the session is a cookie. */
  csrf?: () => string | undefined;
  /** Another `fetch`. */
  fetch?: typeof globalThis.fetch;
  /** Told of each answer 401 that is about who calls, so that a page can ask people to sign in again. */
  onUnauthorized?: () => void;
}

/** What any call may be told: when to give up, and more headers. */
export interface CallOptions {
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

/** Parameters of a call; lists are joined with commas, and what is undefined is not said. */
export type Parameters = Record<string, string | number | boolean | readonly string[] | Date | undefined>;

/** What a call sends. */
export interface Sent extends CallOptions {
  method?: string;
  parameters?: Parameters;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is, of the kind that its header says. */
  body?: BodyInit;
}

/** Errors of 401 that are about a password or a code in the call, and not about who calls. */
const OF_WHAT_WAS_TYPED = new Set(["invalid_credentials", "code_required"]);

/** One server, called by one person or program. */
export class Transport {
  /** Where the API stands, without a slash at its end. */
  readonly baseUrl: string;
  /** Where the server itself stands, for what is no part of the API's versions. */
  readonly root: string;
  private readonly options: ClientOptions;

  constructor(options: ClientOptions) {
    this.options = options;
    this.baseUrl = (options.baseUrl ?? "/api/v1").replace(/\/+$/, "");
    this.root = this.baseUrl.replace(/\/api(\/v1)?$/, "");
  }

  /** What a call answers in JSON; undefined where it answers nothing. `path` is below the API's address. */
  async json<T>(method: string, path: string, sent: Omit<Sent, "method"> = {}): Promise<T> {
    const response = await this.send(this.baseUrl + path, { ...sent, method });
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  /** What a read answers in JSON. */
  get<T>(path: string, parameters: Parameters = {}, options: CallOptions = {}): Promise<T> {
    return this.json("GET", path, { ...options, parameters });
  }

  /** A stream of events, and what becomes of each. */
  stream<T>(path: string, parameters: Parameters, options: StreamOptions, read: (event: ServerEvent) => T | undefined): MetricsStream<T> {
    const open = (last: string | undefined, signal: AbortSignal) => {
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (last !== undefined) headers["last-event-id"] = last;
      return this.send(this.baseUrl + path, { parameters, signal, headers });
    };
    return new MetricsStream(open, read, options);
  }

  /** The answer to a call at any address of the server, as it comes; an error, if it is no success. */
  async send(url: string, { signal, headers, method = "GET", parameters = {}, json, body }: Sent): Promise<Response> {
    const { token: given, csrf: proof, fetch: ask = globalThis.fetch, onUnauthorized } = this.options;
    const all: Record<string, string> = { accept: "application/json", ...headers };
    const token = typeof given === "function" ? given() : given;
    if (token) all.authorization = `Bearer ${token}`;
    if (json !== undefined) all["content-type"] = "application/json";
    const csrf = method === "GET" ? undefined : proof?.();
    if (csrf) all["x-csrf-token"] = csrf;
    const content = json === undefined ? body : JSON.stringify(json);
    const response = await ask(url + search(parameters), {
      method,
      headers: all,
      credentials: "same-origin",
      ...(signal ? { signal } : {}),
      ...(content === undefined ? {} : { body: content }),
    });
    if (!response.ok) {
      const error = await ApiError.from(response);
      if (error.status === 401 && !OF_WHAT_WAS_TYPED.has(error.code)) onUnauthorized?.();
      throw error;
    }
    return response;
  }
}

/** The path of one of several things of a kind. */
export function pathOf(kind: string, name: string): string {
  return `/${kind}/${encodeURIComponent(name)}`;
}

/** A moment as parameters have it. */
export function moment(at: Moment | undefined): string | number | undefined {
  return at instanceof Date ? at.getTime() : at;
}

function search(parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) {
      if (value.length > 0) query.set(name, value.join(","));
    } else query.set(name, value instanceof Date ? String(value.getTime()) : String(value));
  }
  const text = query.toString();
  return text ? `?${text}` : "";
}
