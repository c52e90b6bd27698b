/** How streams go on: what is waited between tries, when they end, and that cuts of the network cost and double nothing. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Relay } from "../../../dashboard/test/relay.ts";
import { ApiError, MetricsStream, NodeglassClient, type StreamOptions } from "../src/index.ts";
import { newsOnly } from "../src/news.ts";
import { TOKEN, TestServer, eventually } from "./server.ts";

/** An answer that has these events and ends. */
const ended = (text: string) => new Response(text);
/** One that has them and stays open until the caller goes. */
function open(text: string, signal: AbortSignal): Response {
  return new Response(
    new ReadableStream({
      start(body) {
        body.enqueue(new TextEncoder().encode(text));
        signal.addEventListener("abort", () => body.error(new DOMException("aborted", "AbortError")));
      },
    }),
  );
}

/** A stream of what `answer` gives at each try, and the moments of the tries. */
function tries(answer: (number: number, signal: AbortSignal) => Response | Error, options: StreamOptions = {}) {
  const at: number[] = [];
  const resumed: (string | undefined)[] = [];
  const stream = new MetricsStream<string>(
    async (last, signal) => {
      at.push(Date.now());
      resumed.push(last);
      const given = answer(at.length, signal);
      if (given instanceof Error) throw given;
      return given;
    },
    (event) => (event.event === "metrics" ? event.data : undefined),
    options,
  );
  const values: string[] = [];
  const stop = new AbortController();
  const over = (async () => {
    for await (const value of stream) values.push(value);
  })();
  over.catch(() => {});
  return { at, resumed, values, stop, over, stream };
}

const pausesOf = (at: number[]) => at.slice(1).map((time, number) => time - (at[number] ?? 0));

describe("between two tries", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  test.each([
    ["shortest", 0, [250, 500, 1000, 2000, 4000, 7500, 7500]],
    ["longest", 1, [500, 1000, 2000, 4000, 8000, 15_000, 15_000]],
  ])("the %s pauses double up to a bound", async (_, chance, pauses) => {
    vi.spyOn(Math, "random").mockReturnValue(chance);
    const stop = new AbortController();
    const { at, over } = tries(() => new TypeError("fetch failed"), { signal: stop.signal });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(pausesOf(at).slice(0, pauses.length).map(Math.round)).toEqual(pauses);
    stop.abort();
    await over;
  });

  test("an event makes the next pause the first again, and the try has its id", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    const stop = new AbortController();
    const { at, over, resumed, values } = tries(
      (number) => (number === 4 ? ended("event: metrics\nid: 3-17\ndata: one\n\n") : new TypeError("fetch failed")),
      { signal: stop.signal, lastEventId: "3-16" },
    );
    await vi.advanceTimersByTimeAsync(3_000);
    expect(pausesOf(at)).toEqual([250, 500, 1000, 250, 500]);
    expect(values).toEqual(["one"]);
    expect(resumed).toEqual(["3-16", "3-16", "3-16", "3-16", "3-17", "3-17"]);
    stop.abort();
    await over;
  });

  test("the server may say when it wants to be asked again: in an error, and in its last event", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    const stop = new AbortController();
    const reasons: unknown[] = [];
    const options: StreamOptions = { signal: stop.signal, onState: (state, error) => state === "waiting" && reasons.push(error) };
    const { at, over } = tries((number) => {
      if (number === 1) return new ApiError(503, "too_many_streams", "all are taken", 20_000);
      if (number === 2) return ended('event: error\nretry: 4000\ndata: {"code":"server_stopping","message":"it stops"}\n\n');
      return new TypeError("fetch failed");
    }, options);
    await vi.advanceTimersByTimeAsync(24_100);
    expect(pausesOf(at)).toEqual([20_000, 4_000]);
    expect(reasons.slice(0, 2)).toMatchObject([{ code: "too_many_streams" }, { code: "server_stopping", message: "it stops" }]);
    stop.abort();
    await over;
  });

  test("a connection that says nothing is not waited for", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    const stop = new AbortController();
    const { at, over } = tries((_, signal) => open(":alive\n\n", signal), { signal: stop.signal });
    await vi.advanceTimersByTimeAsync(40_000 + 250);
    expect(at).toHaveLength(2);
    stop.abort();
    await over;
  });

  test("who ends it while it waits does not wait", async () => {
    const stop = new AbortController();
    const { at, over } = tries(() => new ApiError(503, "overloaded", "no time", 3_600_000), { signal: stop.signal });
    await vi.advanceTimersByTimeAsync(10);
    stop.abort();
    await over;
    expect(at).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("it ends with its reader, and with its signal, and leaves no connection", async () => {
  const signals: AbortSignal[] = [];
  const stop = new AbortController();
  const { stream, over, values } = tries(
    (_, signal) => {
      signals.push(signal);
      return open("event: metrics\nid: 1\ndata: one\n\nevent: metrics\nid: 2\ndata: two\n\n", signal);
    },
    { signal: stop.signal },
  );
  for await (const value of stream) {
    expect(value).toBe("one");
    break;
  }
  // The second reader is the one that broke off.
  expect(signals.map((signal) => signal.aborted)).toEqual([false, true]);
  await vi.waitFor(() => expect(values).toEqual(["one", "two"]));
  stop.abort();
  await over;
  expect(signals.map((signal) => signal.aborted)).toEqual([true, true]);
  const never = tries(() => new Error("it was asked"), { signal: AbortSignal.abort() });
  await never.over;
  expect(never.at).toEqual([]);
});

test.each([400, 401, 403, 404, 422])("an answer %i is the end", async (status) => {
  const { at, over } = tries(() => new ApiError(status, "some_code", "no"));
  await expect(over).rejects.toMatchObject({ status });
  expect(at).toHaveLength(1);
});

test("of what a server shows that was killed, only what is new is given out", () => {
  const isNews = newsOnly("3-17");
  const given: [id: string | undefined, timestamp: number, isNew: boolean][] = [
    ["3-16", 1600, false],
    ["3-17", 1700, false],
    ["3-18", 1800, true],
    // As it was stored last.
    [undefined, 1700, false],
    ["3-18", 1800, false],
    [undefined, 1900, true],
    // Another run of the agent, whose clock was set back.
    ["4-1", 500, true],
    ["4-1", 500, false],
    ["4-2", 501, true],
  ];
  for (const [id, timestamp, isNew] of given) expect(isNews(id, timestamp), `${id} ${timestamp}`).toBe(isNew);
});

test("cuts of the network cost no sample that the server still has, and none comes twice", { timeout: 120_000 }, async () => {
  const server = await TestServer.start();
  const relay = new Relay(server.url);
  try {
    await relay.mend();
    const direct = new NodeglassClient({ baseUrl: `${server.url}/api/v1`, token: TOKEN });
    const client = new NodeglassClient({ baseUrl: `${relay.url}/api/v1`, token: TOKEN });
    await eventually("a first sample", () => direct.getCurrentMetrics(server.agent));
    const stop = new AbortController();
    const stream = client.streamMetrics(server.agent, { interval: 1, signal: stop.signal });
    const ids: string[] = [];
    const times: number[] = [];
    const reading = (async () => {
      for await (const sample of stream) {
        ids.push(stream.lastEventId ?? "");
        times.push(sample.timestamp);
      }
    })();
    for (let cut = 0; cut < 3; cut++) {
      const before = ids.length;
      await eventually("samples", async () => (ids.length >= before + 2 ? ids : undefined));
      relay.cut();
      const last = times.at(-1) ?? 0;
      await eventually("the server to be ahead", async () =>
        (await direct.getCurrentMetrics(server.agent)).timestamp > last + 2_000 ? true : undefined,
      );
      await relay.mend();
    }
    const before = ids.length;
    await eventually("what was missed, and more", async () => (ids.length >= before + 4 ? ids : undefined));
    stop.abort();
    await reading;
    const numbers = ids.map((id) => Number(id.split("-").at(-1)));
    const first = numbers[0] ?? Number.NaN;
    expect(numbers).toEqual(numbers.map((_, at) => first + at));
    expect(times).toEqual([...new Set(times)].sort((one, other) => one - other));
  } finally {
    relay.cut();
    await server.end();
  }
});
