/** The JSON that the specification prints, answered by an HTTP server and decoded by the client into its types. */

import { readFileSync } from "node:fs";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type agents from "../../../tests/fixtures/specification/agents.json";
import type events from "../../../tests/fixtures/specification/events.json";
import type history from "../../../tests/fixtures/specification/history.json";
import type metrics from "../../../tests/fixtures/specification/metrics.json";
import type system from "../../../tests/fixtures/specification/system.json";
import { type AgentsPage, MetricsClient, type MetricsHistory, type MetricsSnapshot, type SystemInfo } from "../src/index.ts";

/** A type as JSON in a file has it: a word of a few is any text there. */
type Printed<T> = T extends string ? string : T extends object ? { [K in keyof T]: Printed<T[K]> } : T;
/** Whether everything that is printed is something that the type has, and of its shape. */
type Fits<Example, T> = Example extends Printed<T> ? true : never;

// Checked when types are: what is printed is what the client says that it gives. A history says more than is printed: what it
// is made of, and where it has gaps.
const fits: [
  Fits<typeof system, SystemInfo>,
  Fits<typeof metrics, MetricsSnapshot>,
  Fits<typeof history, Pick<MetricsHistory, "agent_id" | "query" | "data">>,
  Fits<typeof agents, AgentsPage>,
  Fits<(typeof events)[number], MetricsSnapshot>,
] = [true, true, true, true, true];

const printed = (name: string) =>
  readFileSync(new URL(`../../../tests/fixtures/specification/${name}.json`, import.meta.url), "utf8");
const example = (name: string): unknown => JSON.parse(printed(name));

/** What stands where. */
const FILES: Record<string, string> = {
  "/api/v1/agents/agent1/system": "system",
  "/api/v1/agents/agent1/metrics": "metrics",
  "/api/v1/agents/agent1/metrics/history": "history",
  "/api/v1/metrics/agents": "agents",
};

let server: Server;
let client: MetricsClient;

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    if (path.endsWith("/metrics/stream")) {
      const messages = example("events") as unknown[];
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(messages.map((one) => `event: metrics\ndata: ${JSON.stringify(one)}\n\n`).join(""));
      return;
    }
    const file = FILES[path];
    response.writeHead(file ? 200 : 404, { "content-type": "application/json" });
    response.end(file ? printed(file) : "{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  client = new MetricsClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1`);
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

test("answers come out as they are printed", async () => {
  expect(fits).not.toContain(false);
  expect(await client.getSystemInfo("agent1")).toEqual(example("system"));
  expect(await client.getCurrentMetrics("agent1")).toEqual(example("metrics"));
  const query = { metrics: ["cpu.usage_percent", "memory.usage_percent"], startTime: 1690537800, endTime: 1690538400, interval: 60 };
  expect(await client.getHistoricalMetrics("agent1", query)).toEqual(example("history"));
  expect(await client.listAgents()).toEqual(example("agents"));
});

test("events come out as they are printed", async () => {
  const stream = client.streamMetrics("agent1", 5);
  const came: MetricsSnapshot[] = [];
  for await (const one of stream) {
    came.push(one);
    if (came.length === 2) break;
  }
  expect(came).toEqual(example("events"));
});
