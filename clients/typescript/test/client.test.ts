/** The client against a real server with a real agent. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { ApiError, MetricsClient, type MetricsSnapshot, NodeglassClient, type StreamState, devicesOf, valueOf } from "../src/index.ts";
import { TOKEN, TestServer, eventually } from "./server.ts";

let server: TestServer;
let client: NodeglassClient;

beforeAll(async () => {
  server = await TestServer.start();
  client = new NodeglassClient({ baseUrl: `${server.url}/api/v1`, token: TOKEN });
  await eventually("a first sample with rates", async () => {
    const sample = await client.getCurrentMetrics(server.agent);
    return sample.cpu?.usage_percent === undefined ? undefined : sample;
  });
}, 90_000);

afterAll(() => server.end());

test("the calls of the specification answer", async () => {
  const info = await client.getSystemInfo(server.agent);
  expect(info.agent_id).toBe(server.agent);
  expect(info.hardware?.memory.total_bytes).toBeGreaterThan(0);
  const sample = await client.getCurrentMetrics(server.agent);
  expect(sample.memory?.total_bytes).toBe(info.hardware?.memory.total_bytes);
  const history = await eventually("history", async () => {
    const found = await client.getHistoricalMetrics(server.agent, { metrics: ["memory.usage_percent", "cpu.core_usage@*"], start: "-1m" });
    return found.data.at(-1)?.["cpu.core_usage@0"] === undefined ? undefined : found;
  });
  const bucket = history.data.at(-1);
  expect(bucket?.["memory.usage_percent"]).toBeGreaterThan(0);
  expect(bucket?.["cpu.core_usage@0"]).toBeGreaterThanOrEqual(0);
});

test("a series of a sample is what the server makes of it", async () => {
  const sample = await client.getCurrentMetrics(server.agent);
  const metrics = ["cpu.usage_percent", "memory.used_bytes", "disk.usage_percent", "network.errors_in"];
  const page = await eventually("the same sample in the list", async () => {
    const now = await client.getCurrentMetrics(server.agent);
    const page = await client.listAgents({ metrics });
    const entry = page.agents.find((one) => one.agent_id === server.agent);
    return entry?.last_metrics_update === now.timestamp ? { entry, now } : undefined;
  });
  for (const path of metrics) {
    const [section = "", field = ""] = path.split(".");
    expect(valueOf(page.now, path), path).toBeCloseTo(page.entry.metrics?.[section]?.[field] ?? Number.NaN, 1);
  }
  expect(devicesOf(sample, "cpu.core_usage").length).toBe(sample.cpu?.cores?.length);
  expect(valueOf(sample, "cpu.core_usage@0")).toBe(sample.cpu?.cores?.[0]?.usage_percent);
  expect(valueOf(sample, "disk.used_bytes@/nowhere")).toBeUndefined();
});

test("the other calls answer", async () => {
  expect((await client.getLatest("memory.usage_percent")).agents[0]?.agent_id).toBe(server.agent);
  expect((await client.getTop({ metric: "memory.usage_percent", k: 1 })).agents).toHaveLength(1);
  expect((await client.getFleetHistory({ metrics: ["load.load1"], start: "-1m" })).agents[0]?.agent_id).toBe(server.agent);
  expect((await client.getLedger(server.agent)).agent_id).toBe(server.agent);
  expect((await client.getTasks(server.agent)).tasks).toEqual([]);
  expect((await client.getProcesses(server.agent)).processes.length).toBeGreaterThan(0);
  expect((await client.getReadiness()).status).toBe("ready");
});

test("what goes wrong is said in the server's words", async () => {
  const unknown = await client.getCurrentMetrics("nobody").catch((error: unknown) => error);
  expect(unknown).toBeInstanceOf(ApiError);
  expect(unknown).toMatchObject({ status: 404, code: "unknown_agent" });
  expect((unknown as ApiError).message).toContain("nobody");
  let told = false;
  const stranger = new NodeglassClient({ baseUrl: `${server.url}/api/v1`, token: "wrong", onUnauthorized: () => (told = true) });
  await expect(stranger.listAgents()).rejects.toMatchObject({ status: 401 });
  expect(told).toBe(true);
});

test("the client of the specification takes an address alone", async () => {
  const bare = new MetricsClient(`${server.url}/api`);
  await expect(bare.getCurrentMetrics(server.agent)).rejects.toMatchObject({ status: 401 });
});

test("a stream that is not allowed ends with the reason", async () => {
  const stranger = new NodeglassClient({ baseUrl: `${server.url}/api/v1`, token: "wrong" });
  const read = async () => {
    for await (const sample of stranger.streamMetrics(server.agent)) return sample;
    return undefined;
  };
  await expect(read()).rejects.toMatchObject({ status: 401 });
});

test("a stream goes on when the server was killed and is back", { timeout: 120_000 }, async () => {
  const stop = new AbortController();
  const states: StreamState[] = [];
  const stream = client.streamMetrics(server.agent, { interval: 1, signal: stop.signal, onState: (state) => states.push(state) });
  const seen: MetricsSnapshot[] = [];
  const ids: (string | undefined)[] = [];
  const reading = (async () => {
    for await (const sample of stream) {
      seen.push(sample);
      ids.push(stream.lastEventId);
    }
  })();
  await eventually("two samples", async () => (seen.length >= 2 ? seen : undefined));
  expect(states).toEqual(["connecting", "open"]);
  await server.kill();
  await eventually("the break to be noticed", async () => (states.includes("waiting") ? states : undefined));
  const before = seen.length;
  await server.again();
  await eventually("samples after it", async () => (seen.length >= before + 2 ? seen : undefined));
  stop.abort();
  await reading;
  expect(states.at(-1)).toBe("open");
  // Over the break, too, each sample comes once, later ones after earlier ones, and every event has a name to go on from.
  const times = seen.map((sample) => sample.timestamp);
  expect(times).toEqual([...new Set(times)].sort((one, other) => one - other));
  expect(ids.every((id) => id !== undefined)).toBe(true);
  expect(new Set(ids.slice(0, before)).size).toBe(before);
});
