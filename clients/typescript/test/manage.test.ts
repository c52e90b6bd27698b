/** What is managed through the client, before a real server: each change is seen again, and each refusal has the code that is promised. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { ApiError, NodeglassClient, type StoredSample } from "../src/index.ts";
import { TOKEN, TestServer, eventually } from "./server.ts";

let server: TestServer;
let client: NodeglassClient;

beforeAll(async () => {
  server = await TestServer.start();
  client = new NodeglassClient({ baseUrl: `${server.url}/api/v1`, token: TOKEN });
  await eventually("a first sample", () => client.getCurrentMetrics(server.agent));
}, 90_000);

afterAll(() => server.end());

/** The code of the error that a call ends with. */
async function codeOf(call: Promise<unknown>): Promise<string> {
  const error: unknown = await call.then(
    () => new Error("it was allowed"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiError)) throw error;
  expect(error.message).not.toBe("");
  expect(error.requestId).toMatch(/^[\w.-]{1,64}$/);
  return error.code;
}

test("agents are added, described, renamed and forgotten", async () => {
  const added = await client.agents.add({ name: "db-1", labels: { env: "prod" } });
  expect(added.enrolment).not.toBe("");
  expect(await codeOf(client.agents.add({ name: "db-1" }))).toBe("name_taken");
  expect((await client.agents.list({ label: ["env=prod"] })).agents.map((one) => one.agent_id)).toEqual(["db-1"]);
  expect((await client.agents.list({ status: "connected" })).agents.map((one) => one.agent_id)).toEqual([server.agent]);
  const detail = await client.agents.get(server.agent);
  expect(detail).toMatchObject({ agent_id: server.agent, status: "connected" });
  expect((await client.agents.rename("db-1", "db-2")).agent_id).toBe("db-2");
  expect((await client.agents.get("db-1")).agent_id).toBe("db-2");
  expect(await codeOf(client.agents.rename("db-2", server.agent))).toBe("name_taken");
  await client.agents.revoke("db-2");
  await client.agents.forget("db-2", "keep");
  expect(await codeOf(client.agents.get("db-2"))).toBe("unknown_agent");
  expect(await client.agents.gaps(server.agent, { start: "-1m" })).toMatchObject({ agent_id: server.agent });
});

test("labels and settings are said, changed and taken back", async () => {
  const set = await client.agents.setLabels(server.agent, { env: "prod", rack: "7" });
  expect(set.labels).toMatchObject({ env: { value: "prod" }, rack: { value: "7" } });
  const changed = await client.agents.changeLabels(server.agent, { rack: null, team: "web" });
  expect(Object.keys(changed.labels)).toEqual(expect.arrayContaining(["env", "team"]));
  expect(changed.labels).not.toHaveProperty("rack");
  expect(await client.agents.labels(server.agent)).toEqual(changed);
  expect(await codeOf(client.agents.setLabels(server.agent, { "no name": "x" }))).toBe("invalid_parameter");
  expect((await client.agents.setSettings(server.agent, { top_processes: 7 })).own.top_processes).toBe(7);
  await client.agents.changeSettings(server.agent, { exclude_metrics: ["sensor"] });
  const state = await eventually("the agent to do so", async () => {
    const now = await client.agents.settings(server.agent);
    return now.applied && now.in_force?.top_processes === 7 ? now : undefined;
  });
  expect(state.in_force?.exclude_metrics).toContain("sensor");
  const slower = await client.agents.changeStream(server.agent, { action: "UPDATE_INTERVAL", interval_seconds: 2 });
  expect(slower.own.collection_interval_seconds).toBe(2);
  expect((await client.agents.setSettings(server.agent, {})).own.top_processes ?? null).toBeNull();
});

test("groups are made, read and removed", async () => {
  const made = await client.groups.set("all-of-them", { agents: ["*"], settings: { top_processes: 9 } });
  expect(made).toMatchObject({ name: "all-of-them", agents: ["*"] });
  expect(made.settings.top_processes).toBe(9);
  expect(await client.groups.get("all-of-them")).toEqual(made);
  expect((await client.groups.list()).find((one) => one.name === made.name)).toEqual(made);
  await client.groups.remove("all-of-them");
  expect(await codeOf(client.groups.get("all-of-them"))).toBe("unknown_group");
});

test("hosts that push are registered, and a push that is made again is stored once", async () => {
  expect(await client.agents.register({ agent_id: "printer", os: "none" })).toMatchObject({ agent_id: "printer", created: true });
  expect((await client.agents.heartbeat("printer")).agent_id).toBe("printer");
  const push = () => client.agents.push("printer", { cpu_usage: 12.5 }, { idempotencyKey: "page-1" });
  const [one, again] = [await push(), await push()];
  expect([one.repeated, again.repeated]).toEqual([false, true]);
  expect(again.timestamp).toBe(one.timestamp);
  expect((await client.getCurrentMetrics("printer")).cpu?.usage_percent).toBe(12.5);
  expect((await client.getFigures("printer", 1)).metrics[0]?.cpu_usage).toBe(12.5);
  expect(await codeOf(client.agents.push("printer", { cpu_usage: 13 }, { idempotencyKey: "page-1" }))).toBe("push_conflict");
  expect(await codeOf(client.agents.push("printer", { cpu_usage: -1 }))).toBe("invalid_value");
  expect(await codeOf(client.agents.push("printer", { cpu_usage: 1, timestamp: Date.now() + 86_400_000 }))).toBe("future_timestamp");
  expect(await codeOf(client.agents.push(server.agent, { cpu_usage: 1 }))).toBe("agent_reports_itself");
});

test("tokens open what they allow, and are worth nothing when they are revoked", async () => {
  const made = await client.tokens.add({ name: "ci", role: "viewer", agents: ["printer"] });
  const other = new NodeglassClient({ baseUrl: `${server.url}/api/v1`, token: made.token });
  expect(await other.session.me()).toMatchObject({ name: "ci", kind: "token", role: "viewer", agents: ["printer"] });
  expect(await codeOf(other.getCurrentMetrics(server.agent))).toBe("unknown_agent");
  expect(await codeOf(other.tokens.list())).toBe("forbidden");
  await client.tokens.change("ci", { role: "operator" });
  expect((await client.tokens.list()).find((one) => one.name === "ci")?.role).toBe("operator");
  expect(await codeOf(client.tokens.add({ name: "ci", role: "viewer" }))).toBe("name_taken");
  expect((await other.session.ticket()).ticket).not.toBe("");
  await client.tokens.revoke("ci");
  expect(await codeOf(other.session.me())).toBe("invalid_token");
  expect(await codeOf(client.tokens.revoke("ci"))).toBe("unknown_name");
  const log = await client.audit.list({ action: "token.*", subject: "ci" });
  expect(log.entries.map((entry) => entry.action)).toEqual(expect.arrayContaining(["token.add", "token.revoke"]));
  const [first] = (await client.audit.list({ limit: 1 })).entries;
  expect(first?.at).toBeLessThanOrEqual(Date.now());
});

test("strings for many hosts are made and revoked", async () => {
  expect((await client.fleetTokens.add({ name: "rack-7", max_uses: 2 })).enrolment).not.toBe("");
  expect((await client.fleetTokens.list()).map((one) => [one.name, one.max_uses])).toEqual([["rack-7", 2]]);
  expect(await codeOf(client.fleetTokens.add({ name: "rack-7" }))).toBe("name_taken");
  await client.fleetTokens.revoke("rack-7");
  expect((await client.fleetTokens.list())[0]?.revoked_at).toBeGreaterThan(0);
});

test("users are made and changed, and have a session of their own", async () => {
  const password = "a long enough secret";
  expect(await client.users.add({ name: "ada", role: "viewer", password })).toMatchObject({ name: "ada", role: "viewer" });
  expect(await codeOf(client.users.add({ name: "bob", role: "viewer", password: "short" }))).toBe("weak_password");
  await client.users.change("ada", { role: "operator" });
  expect((await client.users.list()).map((one) => [one.name, one.role])).toEqual([["ada", "operator"]]);
  // A browser's part: it keeps the cookie, and says where its page is from.
  let cookie = "";
  let csrf: string | undefined;
  const browser: typeof fetch = async (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("origin", server.url);
    if (cookie) headers.set("cookie", cookie);
    const answer = await fetch(input, { ...init, headers });
    cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? cookie;
    return answer;
  };
  const own = new NodeglassClient({ baseUrl: `${server.url}/api/v1`, fetch: browser, csrf: () => csrf });
  expect(await own.session.ways()).toMatchObject({ password: true });
  expect(await codeOf(own.session.signIn({ user: "ada", password: "something else" }))).toBe("invalid_credentials");
  const me = await own.session.signIn({ user: "ada", password });
  expect(me).toMatchObject({ name: "ada", kind: "user", role: "operator" });
  expect(await codeOf(own.session.ticket())).toBe("missing_csrf_token");
  csrf = me.session?.csrf_token;
  expect((await own.sessions.list()).map((one) => one.name)).toEqual(["ada"]);
  expect((await own.session.beginCodes(password)).secret).not.toBe("");
  expect(await codeOf(own.session.confirmCodes("000000x"))).toBe("invalid_credentials");
  await own.session.changePassword({ old: password, new: `${password}, and new` });
  await own.session.signOut();
  expect((await codeOf(own.session.me()))).toBe("missing_token");
  await client.users.remove("ada");
  expect(await codeOf(client.users.remove("ada"))).toBe("unknown_name");
});

test("dashboards are kept, and nobody's change is lost", async () => {
  const content = { panels: [{ title: "Load" }] };
  const saved = await client.dashboards.save("front", { name: "Front", content });
  expect(await client.dashboards.get<typeof content>("front")).toEqual({ ...saved, content });
  const next = await client.dashboards.save("front", { name: "In front", content, revision: saved.revision });
  expect(next.revision).toBeGreaterThan(saved.revision);
  expect(await codeOf(client.dashboards.save("front", { name: "Late", content, revision: saved.revision }))).toBe("outdated_dashboard");
  expect(await client.dashboards.list()).toEqual([next]);
  await client.dashboards.remove("front");
  expect(await codeOf(client.dashboards.get("front"))).toBe("unknown_dashboard");
});

test("samples are exported as they were taken, and imported once", async () => {
  const samples = await eventually("stored samples", async () => {
    const all: StoredSample[] = [];
    for await (const sample of client.exportSamples({ agents: [server.agent], start: "-5m" })) all.push(sample);
    return all.length >= 3 ? all : undefined;
  });
  expect(samples[0]).toMatchObject({ agent_id: server.agent });
  expect(samples[0]?.devices.find((one) => one.kind === "host")?.values).toHaveProperty("memory.total_bytes");
  expect(await client.importSamples(samples)).toMatchObject({ stored: 0, duplicate: samples.length, refused: 0 });
  const copies = samples.map((sample) => ({ ...sample, agent_id: "copy" }));
  expect(await codeOf(client.importSamples(copies))).toBe("unknown_agent");
  expect(await client.importSamples(copies, { createAgents: true })).toMatchObject({ stored: copies.length, refused: 0 });
  const back: StoredSample[] = [];
  for await (const sample of client.exportSamples({ agents: ["copy"] })) back.push(sample);
  expect(back).toEqual(copies);
});

test("several hosts are one history, and the server says how it is", async () => {
  await client.agents.setLabels(server.agent, { env: "prod" });
  const query = { metrics: ["cpu.usage_percent"], start: "-5m" };
  const merged = await client.getMergedHistory({ ...query, agents: [server.agent, "copy"] });
  expect([...merged.agents].sort()).toEqual(["copy", server.agent].sort());
  const byLabel = await client.getHistoryByLabel("env", { ...query, agents: [server.agent, "copy"] });
  expect(byLabel.groups.map((one) => one.label.value)).toEqual(["prod", null]);
  const csv = await client.fetch("/metrics/latest", { metric: "load.load1" }, { headers: { accept: "text/csv" } });
  expect(await csv.text()).toContain(server.agent);
  expect((await client.server.health()).status).not.toBe("");
  expect(await client.server.figures()).toContain("nodeglass_");
  expect(await client.server.openApi()).toHaveProperty("openapi");
});

test("one stream has the samples of all, and says who comes and goes", async () => {
  const stop = new AbortController();
  const kinds = new Set<string>();
  for await (const event of client.streamFleet({ metrics: ["load"] }, { interval: 1, signal: stop.signal })) {
    kinds.add(`${event.kind} ${event.agent_id}`);
    if (event.kind === "metrics") expect(event.cpu).toBeUndefined();
    if (kinds.has(`metrics ${server.agent}`)) stop.abort();
  }
  expect([...kinds]).toContain(`metrics ${server.agent}`);
});
