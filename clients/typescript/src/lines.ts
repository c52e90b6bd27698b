/** Lines of JSON out of a stream of bytes, and samples into them, as exports have them. */

/** Reads a value from each line until the stream ends; a stream that breaks off throws. */
export async function* parseLines<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  // A line is put together once, however many pieces it comes in.
  let pieces: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const lines = (done ? decoder.decode() : decoder.decode(value, { stream: true })).split("\n");
      for (let at = 0; at < lines.length; at++) {
        pieces.push(lines[at] ?? "");
        if (at === lines.length - 1 && !done) break;
        const line = pieces.join("");
        pieces = [];
        if (line.trim() !== "") yield JSON.parse(line) as T;
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Values as lines. */
export function writeLines(values: Iterable<object>): string {
  let text = "";
  for (const value of values) text += `${JSON.stringify(value)}\n`;
  return text;
}
