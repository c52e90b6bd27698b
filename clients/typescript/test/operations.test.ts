/** Every operation of the OpenAPI document has a method, which calls it as the document says: path, parameters, headers, body. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { NodeglassClient } from "../src/index.ts";
import type { operations } from "../src/schema.ts";

/** Operations without a method, and why. */
const WITHOUT = {
  docs: "a page for people",
  docs_style: "a part of that page",
  docs_script: "a part of that page",
  finish_oidc: "the provider sends a browser there, and no program",
  socket: "streamFleet has the same samples, and goes on after a break; session.ticket opens the socket where one is wanted",
} as const;

type Operation = Exclude<keyof operations, keyof typeof WITHOUT>;
type Ask = (url: string) => Promise<unknown>;
type Calls = (client: NodeglassClient, ask: Ask) => unknown[];

const SPAN = { start: "-1h", end: new Date(1_700_000_000_000) };
const HISTORY = { metrics: ["cpu.usage_percent", "load.load1"], ...SPAN, interval: 60, max_points: 100, agg: "max" } as const;
const RESUMED = { interval: 2, lastEventId: "3-17" };

/** The calls of each operation, with all that may be said. That none is missing is checked when types are, too. */
const CALLS: Record<Operation, Calls> = {
  agents: (client) => [
    client.agents.list({ status: "connected", q: "web", agents: ["web-*"], label: ["env=prod"], group: ["web"], version: "1.*", sort: "-status", limit: 5, cursor: "a" }),
  ],
  add_agent: (client) => [client.agents.add({ name: "web-1", labels: { env: "prod" }, replace: true, valid_seconds: 60 })],
  register_agent: (client) => [client.agents.register({ agent_id: "web-1" })],
  forget_agent: (client) => [client.agents.forget("web-1", "keep")],
  agent: (client) => [client.agents.get("web-1")],
  agent_events: (client) => [client.getEvents("web-1", { kind: ["lost"], ...SPAN, before: 7, limit: 5 })],
  agent_gaps: (client) => [client.agents.gaps("web-1", SPAN)],
  heartbeat: (client) => [client.agents.heartbeat("web-1", { status: "fine" })],
  agent_labels: (client) => [client.agents.labels("web-1")],
  change_agent_labels: (client) => [client.agents.changeLabels("web-1", { env: "prod", rack: null })],
  set_agent_labels: (client) => [client.agents.setLabels("web-1", { env: "prod" })],
  agent_ledger: (client) => [client.getLedger("web-1")],
  agent_metrics: (client) => [client.getCurrentMetrics("web-1"), client.getFigures("web-1", 24)],
  push_metrics: (client) => [client.agents.push("web-1", { cpu_usage: 12 }, { idempotencyKey: "one" })],
  agent_history: (client) => [client.getHistoricalMetrics("web-1", HISTORY)],
  agent_stream: (client) => [client.streamMetrics("web-1", { ...RESUMED, metrics: ["cpu"] })],
  change_agent_stream: (client) => [client.agents.changeStream("web-1", { action: "UPDATE_INTERVAL", interval_seconds: 5 })],
  agent_processes: (client) => [client.getProcesses("web-1", "-1h")],
  rename_agent: (client) => [client.agents.rename("web-1", "web-2")],
  revoke_agent: (client) => [client.agents.revoke("web-1")],
  agent_settings: (client) => [client.agents.settings("web-1")],
  change_agent_settings: (client) => [client.agents.changeSettings("web-1", { top_processes: 5 })],
  set_agent_settings: (client) => [client.agents.setSettings("web-1", { top_processes: 5 })],
  agent_system: (client) => [
    client.getSystemInfo("web-1", { packages: true, include_hardware: true, include_software: true, include_network: true }),
  ],
  agent_tasks: (client) => [client.getTasks("web-1", { ...SPAN, limit: 5 })],
  audit: (client) => [
    client.audit.list({ name: "ada", action: "token.*", subject: "ci", outcome: "done", ...SPAN, limit: 5, cursor: 7 }),
  ],
  dashboards: (client) => [client.dashboards.list()],
  remove_dashboard: (client) => [client.dashboards.remove("front")],
  dashboard: (client) => [client.dashboards.get("front")],
  save_dashboard: (client) => [client.dashboards.save("front", { name: "Front", content: { panels: [] }, revision: 3 })],
  events: (client) => [client.getFleetEvents({ agents: ["web-*"], kind: ["lost"], ...SPAN, before: 7, limit: 5 })],
  export: (client) => [client.exportSamples({ agents: ["web-*"], ...SPAN, metrics: ["cpu.usage_percent"] })],
  fleet_tokens: (client) => [client.fleetTokens.list()],
  add_fleet_token: (client) => [client.fleetTokens.add({ name: "rack-7", max_uses: 40 })],
  revoke_fleet_token: (client) => [client.fleetTokens.revoke("rack-7")],
  groups: (client) => [client.groups.list()],
  remove_group: (client) => [client.groups.remove("web")],
  group: (client) => [client.groups.get("web")],
  set_group: (client) => [client.groups.set("web", { agents: ["web-*"], place: 1, settings: { top_processes: 5 } })],
  import: (client) => [client.importSamples([{ agent_id: "web-1", timestamp: 1_700_000_000_000, devices: [] }], { createAgents: true })],
  agents_overview: (client) => [
    client.listAgents({ metrics: ["load.load1"], status: "connected", q: "web", agents: ["web-*"], sort: "agent_id", limit: 5, cursor: "a" }),
  ],
  fleet_history: (client) => [
    client.getFleetHistory({ ...HISTORY, agents: ["web-*"] }),
    client.getMergedHistory({ ...HISTORY, agents: ["web-*"] }),
    client.getHistoryByLabel("env", { ...HISTORY, agents: ["web-*"] }),
  ],
  fleet_latest: (client) => [client.getLatest("load.load1", ["web-*"])],
  fleet_stream: (client) => [
    client.streamFleet({ agents: ["web-*"], metrics: ["cpu"] }, RESUMED),
    client.streamOverview({ agents: ["web-*"], metrics: ["load.load1"] }, RESUMED),
  ],
  fleet_top: (client) => [client.getTop({ metric: "load.load1", k: 3, order: "asc", agents: ["web-*"], ...SPAN, agg: "max" })],
  openapi: (client) => [client.server.openApi()],
  sign_out: (client) => [client.session.signOut()],
  session: (client) => [client.session.me()],
  sign_in: (client) => [client.session.signIn({ token: "ngt_1" }), client.session.signIn({ user: "ada", password: "secret" })],
  begin_oidc: (client, ask) => [ask(client.session.providerUrl("/hosts"))],
  change_own_password: (client) => [client.session.changePassword({ old: "one", new: "other" })],
  begin_totp: (client) => [client.session.beginCodes("secret")],
  confirm_totp: (client) => [client.session.confirmCodes("123456")],
  end_totp: (client) => [client.session.endCodes({ password: "secret", code: "123456" })],
  ways_to_sign_in: (client) => [client.session.ways()],
  sessions: (client) => [client.sessions.list()],
  end_session: (client) => [client.sessions.end("one")],
  add_ticket: (client) => [client.session.ticket()],
  tokens: (client) => [client.tokens.list()],
  add_token: (client) => [client.tokens.add({ name: "ci", role: "viewer", agents: ["web-*"], expires_in_seconds: 60 })],
  revoke_token: (client) => [client.tokens.revoke("ci")],
  change_token: (client) => [client.tokens.change("ci", { role: "operator" })],
  users: (client) => [client.users.list()],
  add_user: (client) => [client.users.add({ name: "ada", password: "secret", role: "viewer" })],
  remove_user: (client) => [client.users.remove("ada")],
  change_user: (client) => [client.users.change("ada", { role: "admin" })],
  health: (client) => [client.server.health()],
  server_metrics: (client) => [client.server.figures()],
  ready: (client) => [client.server.readiness(), client.getReadiness()],
};

interface Described {
  operationId: string;
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: { $ref?: string } }> };
}
interface Document {
  paths: Record<string, Record<string, Described>>;
  components: { schemas: Record<string, { required?: string[] }> };
}

const document = JSON.parse(readFileSync(new URL("../../../docs/openapi.json", import.meta.url), "utf8")) as Document;
const described = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(([method]) => ["get", "put", "post", "patch", "delete"].includes(method))
    .map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })),
);

interface Recorded {
  url: URL;
  method: string;
  headers: Headers;
  body: unknown;
}

/** What the calls of an operation send, to nobody. */
async function record(calls: Calls): Promise<Recorded[]> {
  const sent: Recorded[] = [];
  const fetch: typeof globalThis.fetch = async (input, init = {}) => {
    const body = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
    sent.push({ url: new URL(String(input)), method: init.method ?? "GET", headers: new Headers(init.headers), body });
    const isStream = new Headers(init.headers).get("accept") === "text/event-stream";
    return new Response(isStream ? "event: metrics\ndata: {}\n\nevent: overview\ndata: {}\n\n" : "{}");
  };
  const client = new NodeglassClient({ baseUrl: "http://test/api/v1", fetch });
  for (const call of calls(client, (url) => fetch(url))) {
    if (call !== null && typeof call === "object" && Symbol.asyncIterator in call) {
      const stream = call as AsyncIterable<unknown>;
      for await (const _ of stream) break;
    } else await call;
  }
  return sent;
}

test("every operation has a method, or a reason why not", () => {
  const known = [...Object.keys(CALLS), ...Object.keys(WITHOUT)].sort();
  expect(known).toEqual(described.map((one) => one.operationId).sort());
});

test.each(Object.entries(CALLS))("%s is called as the document says", async (id, calls) => {
  const operation = described.find((one) => one.operationId === id);
  if (!operation) throw new Error(`the document has no operation ${id}`);
  const sent = await record(calls);
  expect(sent.length).toBeGreaterThan(0);
  const path = new RegExp(`^${operation.path.replace(/\{[a-z_]+\}/g, "[^/]+").replaceAll(".", "\\.")}$`);
  for (const { method, url } of sent) {
    expect(method).toBe(operation.method);
    expect(url.pathname).toMatch(path);
  }
  const named = (place: string) => (operation.parameters ?? []).filter((one) => one.in === place).map((one) => one.name);
  expect([...new Set(sent.flatMap(({ url }) => [...url.searchParams.keys()]))].sort()).toEqual(named("query").sort());
  for (const header of named("header")) expect(sent.some(({ headers }) => headers.has(header)), header).toBe(true);
  for (const { headers, body } of sent) {
    const [kind, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [null];
    expect(headers.get("content-type")).toBe(kind);
    const shape = content?.schema.$ref?.split("/").at(-1);
    expect(Object.keys((body as object | undefined) ?? {})).toEqual(
      expect.arrayContaining((shape && document.components.schemas[shape]?.required) || []),
    );
  }
});

test("every method is one of those calls", () => {
  const used = Object.values(CALLS).join("\n");
  const client = new NodeglassClient();
  const own = Object.getOwnPropertyNames(NodeglassClient.prototype).map((name) => `client.${name}`);
  const parts = Object.entries(client)
    .filter(([name]) => name !== "transport")
    .flatMap(([part, value]) => Object.getOwnPropertyNames(Object.getPrototypeOf(value)).map((name) => `client.${part}.${name}`));
  // What is open for calls of people's own.
  const open = ["client.call", "client.get", "client.fetch", "client.stream", "client.fleetHistory"];
  const methods = [...own, ...parts].filter((name) => !name.endsWith(".constructor") && !open.includes(name));
  expect(methods.filter((name) => !used.includes(`${name}(`))).toEqual([]);
});
