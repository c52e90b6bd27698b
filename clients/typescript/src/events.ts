/** Server-sent events out of a stream of bytes, as the HTML standard has them. */

/** One event. */
export interface ServerEvent {
  event: string;
  data: string;
  /** The last `id` that was said, by this event or one before. */
  id: string | undefined;
  /** How long to wait before coming back once the stream has ended, in milliseconds: what was said last. */
  retryMs?: number | undefined;
}

/** An event longer than this is not one of ours; reading on would only fill memory. */
const MAX_EVENT_CHARS = 64 * 1024 * 1024;

/**
 * Reads events until the stream ends. `alive` is called for every piece that comes, comments included, so that the caller
 * can tell a silent connection from a dead one.
 */
export async function* parseEvents(
  body: ReadableStream<Uint8Array>,
  alive: () => void = () => {},
): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let event = "";
  let data: string[] = [];
  let id: string | undefined;
  let retryMs: number | undefined;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      rest += decoder.decode(value, { stream: true });
      if (rest.length > MAX_EVENT_CHARS) throw new Error("an event of the stream is too long to be one");
      let from = 0;
      for (;;) {
        const end = lineEnd(rest, from);
        if (end < 0) break;
        const line = rest.slice(from, end);
        from = end + (rest[end] === "\r" && rest[end + 1] === "\n" ? 2 : 1);
        if (line === "") {
          if (data.length > 0) yield { event: event || "message", data: data.join("\n"), id, retryMs };
          event = "";
          data = [];
          continue;
        }
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        let text = colon < 0 ? "" : line.slice(colon + 1);
        if (text.startsWith(" ")) text = text.slice(1);
        if (field === "event") event = text;
        else if (field === "data") data.push(text);
        else if (field === "id" && !text.includes("\0")) id = text;
        else if (field === "retry" && /^\d+$/.test(text)) retryMs = Number(text);
      }
      rest = rest.slice(from);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Where the next line ends, or -1. A `\r` at the very end may be half of `\r\n`: it waits for what follows. */
function lineEnd(text: string, from: number): number {
  const feed = text.indexOf("\n", from);
  const carriage = text.indexOf("\r", from);
  if (carriage >= 0 && (feed < 0 || carriage < feed)) return carriage + 1 < text.length ? carriage : -1;
  return feed;
}
