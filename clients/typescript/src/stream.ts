/** Streams that go on where they broke off: an async iterator over server-sent events with resume and back-off. */

import { ApiError, isFinal } from "./errors.ts";
import { parseEvents, type ServerEvent } from "./events.ts";

/** How a stream stands: `connecting` at first, `open` while it runs, `waiting` before it is tried again. */
export type StreamState = "connecting" | "open" | "waiting";

/** How a stream is to be read. */
export interface StreamOptions {
  /** Seconds between two events at least; 5 without it. */
  interval?: number;
  /** Ends the stream. */
  signal?: AbortSignal;
  /** The last event that was seen, from an earlier stream. */
  lastEventId?: string;
  /** Told of each change, with the reason of a break. */
  onState?: (state: StreamState, error?: unknown) => void;
}

/** The first pause after a break, and the longest. The server may say when it wants to be asked again. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** The server shows every 15 s that it is there; after twice that and some, it is not. */
const SILENCE_MS = 40_000;

type Open = (lastEventId: string | undefined, signal: AbortSignal) => Promise<Response>;

/**
 * The values of a stream, for `for await`. It connects again by itself, with `Last-Event-ID`, until it is told to end or
 * the server says that asking again is of no use: then it throws that error.
 */
export class MetricsStream<T> implements AsyncIterable<T> {
  /** The id of the last event that was given out, to begin another stream with. */
  lastEventId: string | undefined;

  private readonly open: Open;
  private readonly read: (event: ServerEvent) => T | undefined;
  private readonly options: StreamOptions;

  constructor(open: Open, read: (event: ServerEvent) => T | undefined, options: StreamOptions = {}) {
    this.open = open;
    this.read = read;
    this.options = options;
    this.lastEventId = options.lastEventId;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    const { signal, onState } = this.options;
    let pause = FIRST_PAUSE_MS;
    onState?.("connecting");
    while (!signal?.aborted) {
      const ended = new AbortController();
      const end = () => ended.abort();
      signal?.addEventListener("abort", end, { once: true });
      let watch = setTimeout(end, SILENCE_MS);
      const alive = () => {
        clearTimeout(watch);
        watch = setTimeout(end, SILENCE_MS);
      };
      let why: unknown;
      let said = 0;
      try {
        const response = await this.open(this.lastEventId, ended.signal);
        if (!response.body) throw new Error("the stream has no body");
        onState?.("open");
        for await (const event of parseEvents(response.body, alive)) {
          if (event.id !== undefined) this.lastEventId = event.id;
          pause = FIRST_PAUSE_MS;
          said = event.retryMs ?? said;
          if (event.event === "error") why = farewell(event.data);
          const value = this.read(event);
          if (value !== undefined) yield value;
        }
      } catch (error) {
        if (signal?.aborted) return;
        if (isFinal(error)) throw error;
        why = error;
        said = (error instanceof ApiError && error.retryAfterMs) || said;
      } finally {
        clearTimeout(watch);
        signal?.removeEventListener("abort", end);
        ended.abort();
      }
      if (signal?.aborted) return;
      onState?.("waiting", why);
      // Somewhere in the upper half, so that those who were cut off together don't come back together.
      await sleep(Math.max(said, pause * (0.5 + Math.random() / 2)), signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }
}

/** Why the server ends a stream, as its last event says. */
function farewell(data: string): unknown {
  try {
    const { code, message } = JSON.parse(data) as { code?: unknown; message?: unknown };
    return new ApiError(0, typeof code === "string" ? code : "http", typeof message === "string" ? message : data);
  } catch {
    return new Error(data);
  }
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}
