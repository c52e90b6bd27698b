/** Events are read as the HTML standard says, however the bytes are cut. */

import { expect, test } from "vitest";
import { type ServerEvent, parseEvents } from "../src/index.ts";

async function read(pieces: string[]): Promise<ServerEvent[]> {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      controller.close();
    },
  });
  const events: ServerEvent[] = [];
  for await (const event of parseEvents(body)) events.push(event);
  return events;
}

const TEXT = ':hello\n\nevent: metrics\nid: 3-17\ndata: {"a":1}\n\ndata: one\ndata: two\n\nevent: lost\n\nid: 4\ndata:x\n\n';
const EVENTS = [
  { event: "metrics", data: '{"a":1}', id: "3-17" },
  { event: "message", data: "one\ntwo", id: "3-17" },
  { event: "message", data: "x", id: "4" },
];

test("events come out as they were sent", async () => {
  expect(await read([TEXT])).toEqual(EVENTS);
});

test("it does not matter where the bytes are cut, nor how lines end", async () => {
  for (const text of [TEXT, TEXT.replaceAll("\n", "\r\n"), TEXT.replaceAll("\n", "\r")]) {
    // A lone \r at the very end may be half of a line's end: what follows it settles that.
    const whole = text.endsWith("\r") ? `${text}:` : text;
    for (let at = 1; at < whole.length; at++) expect(await read([whole.slice(0, at), whole.slice(at)]), `cut at ${at}`).toEqual(EVENTS);
  }
});

test("a half event at the end is none", async () => {
  expect(await read(["data: whole\n\ndata: half\n"])).toEqual([{ event: "message", data: "whole", id: undefined }]);
});
