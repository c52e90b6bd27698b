/** What went wrong with a call, in the server's own words. */

/** An answer that is not a success. `code` is for programs, `message` for people. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** How long to wait before asking again, if the server said so. */
    readonly retryAfterMs?: number,
  ) {
    super(message);
  }

  /** Reads the error out of an answer, whatever form it has. */
  static async from(response: Response): Promise<ApiError> {
    const retry = Number(response.headers.get("retry-after"));
    const wait = Number.isFinite(retry) && retry > 0 ? retry * 1000 : undefined;
    let code = "http";
    let message = `the server answered ${response.status} ${response.statusText}`.trim();
    try {
      const body: unknown = await response.json();
      if (body && typeof body === "object") {
        const said = body as Record<string, unknown>;
        if (typeof said.code === "string") code = said.code;
        const text = said.detail ?? said.message ?? said.title;
        if (typeof text === "string") message = text;
      }
    } catch {
      // No JSON: the status says enough.
    }
    return new ApiError(response.status, code, message, wait);
  }
}

/** Statuses that asking again does not change. */
const FINAL = new Set([400, 401, 403, 404, 405, 406, 422]);

/** Whether asking the same again is of no use: the call is wrong, or not allowed. */
export function isFinal(error: unknown): boolean {
  return error instanceof ApiError && FINAL.has(error.status);
}
