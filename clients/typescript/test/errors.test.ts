/** What an answer that is no success becomes, whoever gave it: the server, something before it, or nobody. */

import { expect, test } from "vitest";
import { ApiError, NodeglassClient, isFinal } from "../src/index.ts";

/** What a call throws that is answered so. */
async function thrown(body: string, init: ResponseInit): Promise<ApiError> {
  const client = new NodeglassClient({ fetch: async () => new Response(body, init) });
  const error: unknown = await client.listAgents().catch((reason: unknown) => reason);
  if (!(error instanceof ApiError)) throw new Error("the call was answered", { cause: error });
  return error;
}

test("a problem of the server's is its code, its words, and its name in the log", async () => {
  const body = { status: 404, code: "unknown_agent", title: "There is no such agent", detail: "there is no agent web-1", request_id: "5f-1" };
  const error = await thrown(JSON.stringify(body), { status: 404, headers: { "content-type": "application/problem+json" } });
  expect(error).toMatchObject({ name: "ApiError", status: 404, code: "unknown_agent", message: "there is no agent web-1", requestId: "5f-1" });
  expect(error.retryAfterMs).toBeUndefined();
  expect(isFinal(error)).toBe(true);
});

test.each([
  ["a page of a proxy's", "<html>Bad Gateway</html>", "the server answered 502 Bad Gateway"],
  ["nothing", "", "the server answered 502 Bad Gateway"],
  ["JSON that is no problem", "[1]", "the server answered 502 Bad Gateway"],
  ["a text in JSON", '"no"', "the server answered 502 Bad Gateway"],
  ["a problem of another's", '{"title":"Upstream is down"}', "Upstream is down"],
  ["a problem of wrong types", '{"code":5,"detail":{},"request_id":7}', "the server answered 502 Bad Gateway"],
])("%s is an error, too", async (_, body, message) => {
  const error = await thrown(body, { status: 502, statusText: "Bad Gateway" });
  expect(error).toMatchObject({ status: 502, code: "http", message, requestId: undefined });
  expect(isFinal(error)).toBe(false);
});

test("when to ask again is read from seconds and from dates", async () => {
  const wait = async (value: string) => (await thrown("{}", { status: 429, headers: { "retry-after": value } })).retryAfterMs;
  expect(await wait("7")).toBe(7_000);
  const dated = await wait(new Date(Date.now() + 60_000).toUTCString());
  expect(dated).toBeGreaterThan(50_000);
  expect(dated).toBeLessThanOrEqual(60_000);
  for (const none of ["0", "-1", "soon", new Date(0).toUTCString()]) expect(await wait(none)).toBeUndefined();
});

test("an answer that never comes, and a call that is given up, throw what fetch throws", async () => {
  const client = new NodeglassClient({ baseUrl: "http://127.0.0.1:9/api/v1" });
  await expect(client.listAgents()).rejects.toBeInstanceOf(TypeError);
  await expect(client.listAgents({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
});
