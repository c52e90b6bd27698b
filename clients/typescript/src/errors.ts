/** What went wrong with a call, in the server's own words. */

import type { ErrorCode } from "./types.ts";

/** An answer that is not a success. `code` is for programs, `message` for people. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** The status of HTTP; 0 where a stream said in its last event why it ends. */
  readonly status: number;
  /** What kind of error it is; `http` where something else than a Nodeglass server answered. */
  readonly code: ErrorCode | "http" | (string & {});
  /** How long to wait before asking again, if the server said so. */
  readonly retryAfterMs: number | undefined;
  /** The name of the call in the server's log, if it has one. */
  readonly requestId: string | undefined;

  constructor(status: number, code: ApiError["code"], message: string, retryAfterMs?: number, requestId?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.requestId = requestId;
  }

  /** Reads the error out of an answer, whatever form it has. */
  static async from(response: Response): Promise<ApiError> {
    const wait = waitOf(response.headers.get("retry-after"));
    let code = "http";
    let call: string | undefined;
    let message = `the server answered ${response.status} ${response.statusText}`.trim();
    try {
      const body: unknown = await response.json();
      if (body && typeof body === "object") {
        const said = body as Record<string, unknown>;
        if (typeof said.code === "string") code = said.code;
        if (typeof said.request_id === "string") call = said.request_id;
        const text = said.detail ?? said.message ?? said.title;
        if (typeof text === "string") message = text;
      }
    } catch {
      // No JSON: the status says enough.
    }
    return new ApiError(response.status, code, message, wait, call);
  }
}

/** How long `Retry-After` says, in seconds or as a date. */
function waitOf(text: string | null): number | undefined {
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return ms > 0 ? ms : undefined;
}

/** Statuses that asking again does not change. */
const FINAL = new Set([400, 401, 403, 404, 405, 406, 422]);

/** Whether asking the same again is of no use: the call is wrong, or not allowed. */
export function isFinal(error: unknown): boolean {
  return error instanceof ApiError && FINAL.has(error.status);
}
