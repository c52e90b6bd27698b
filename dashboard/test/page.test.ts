/** The page in a real browser, against a real server with a real agent. */

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TOKEN, TestServer, eventually, program } from "../../clients/typescript/test/server.ts";
import { violations } from "./axe.ts";
import { open, startBrowser } from "./browser.ts";

let server: TestServer;
let browser: Browser;
let host: string;

async function api<T>(path: string): Promise<T> {
  const response = await fetch(`${server.url}/api/v1${path}`, { headers: { authorization: `Bearer ${TOKEN}` } });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json() as Promise<T>;
}

interface Sample {
  timestamp: number;
  cpu: { usage_percent?: number };
  memory: { usage_percent?: number };
}

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), startBrowser()]);
  host = `${server.url}/hosts/${server.agent}`;
  await eventually("some history", async () => {
    const history = await api<{ data: object[] }>(`/agents/${server.agent}/metrics/history?metrics=cpu.usage_percent&start=-1m`);
    return history.data.length > 1 ? history : undefined;
  });
});

afterAll(async () => {
  await browser?.close();
  await server?.end();
});

test("signing in: a wrong token is refused in words, the right one opens the fleet", async () => {
  const { page, context } = await open(browser, server.url, { token: undefined });
  await page.getByLabel("Token", { exact: true }).fill("ngt_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  expect(await page.getByRole("alert").textContent()).toContain("does not know this token");
  await page.getByLabel("Token", { exact: true }).fill(TOKEN);
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: server.agent, exact: true }).waitFor();
  // The session is a cookie that scripts can't read; it outlives the page.
  expect(await page.evaluate(() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toContain(TOKEN);
  await page.reload();
  await page.getByRole("link", { name: server.agent, exact: true }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await context.close();
});

test("the head of the page is there before any script, as the scripts draw it", async () => {
  const bare = await open(browser, server.url, { javaScriptEnabled: false });
  const brand = bare.page.locator("header.bar .brand");
  await brand.getByText("Nodeglass").waitFor();
  const before = { html: await brand.evaluate((element) => element.outerHTML), place: await brand.boundingBox() };
  await bare.context.close();
  const drawn = await open(browser, server.url);
  await drawn.page.getByRole("link", { name: server.agent, exact: true }).waitFor();
  const link = drawn.page.locator("header.bar .brand");
  expect({ html: await link.evaluate((element) => element.outerHTML), place: await link.boundingBox() }).toEqual(before);
  await drawn.context.close();
});

test("figures on the page are those of the API, and go on live", async () => {
  const { page, context, complaints } = await open(browser, host);
  const now = page.getByRole("list", { name: "Now" });
  const times = new Set<string>();
  await eventually("the page to show a sample that the API has", async () => {
    const shown = await now.evaluate((list) => ({
      timestamp: (list as HTMLElement).dataset.timestamp ?? "",
      cpu: list.querySelector<HTMLElement>("[data-series='cpu.usage_percent']")?.dataset.value,
      memory: list.querySelector<HTMLElement>("[data-series='memory.usage_percent']")?.dataset.value,
      text: list.querySelector<HTMLElement>("[data-series='memory.usage_percent']")?.textContent,
    }));
    times.add(shown.timestamp);
    const sample = await api<Sample>(`/agents/${server.agent}/metrics`);
    if (String(sample.timestamp) !== shown.timestamp) return undefined;
    expect(Number(shown.cpu)).toBe(sample.cpu.usage_percent);
    expect(Number(shown.memory)).toBe(sample.memory.usage_percent);
    expect(shown.text).toBe(`${sample.memory.usage_percent?.toFixed(1)}\u202f%`);
    return true;
  });
  await eventually("further samples", async () => {
    times.add((await now.getAttribute("data-timestamp")) ?? "");
    return times.size > 2 ? true : undefined;
  });
  expect(complaints).toEqual([]);
  await context.close();
});

test("a drag over a chart zooms all, the address holds it, L goes back to live", async () => {
  const { page, context } = await open(browser, `${host}?range=5m`);
  const plot = page.locator("[data-panel=memory] .u-over");
  await page.locator("[data-panel=memory] .ng-legend li").first().waitFor();
  const box = await plot.boundingBox();
  if (!box) throw new Error("the chart has no place");
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  const query = new URL(page.url()).searchParams;
  const span = Number(query.get("to")) - Number(query.get("from"));
  expect(span / 60_000).toBeCloseTo(2, 0);
  expect(await page.getByRole("button", { name: "Live" }).getAttribute("aria-pressed")).toBe("false");

  // A colleague who is sent the link sees the same span.
  const link = page.url();
  const shown = await page.locator(".shown-span").textContent();
  const colleague = await open(browser, link);
  await colleague.page.locator("[data-panel=memory][data-drawn]").waitFor();
  expect(await colleague.page.locator(".shown-span").textContent()).toBe(shown);
  await colleague.context.close();

  await page.mouse.move(5, 5);
  await page.keyboard.press("l");
  await page.waitForFunction(() => !location.search.includes("from="));
  expect(await page.getByRole("button", { name: "Live" }).getAttribute("aria-pressed")).toBe("true");
  expect(new URL(page.url()).searchParams.get("range")).toBe("5m");
  await page.goBack();
  await page.waitForURL(link);
  await context.close();
});

test("the process table shows who it was at the cursor, and a click keeps that moment in the address", async () => {
  const { page, context } = await open(browser, `${host}?range=5m`);
  const table = page.getByRole("region", { name: "Processes" });
  await table.getByRole("rowheader").first().waitFor();
  await page.locator("[data-panel=cpu] .ng-legend li").first().waitFor();
  const end = Date.now();
  const box = await page.locator("[data-panel=cpu] .u-over").boundingBox();
  if (!box) throw new Error("the chart has no place");
  // Some seconds ago: within the life of this server.
  await page.mouse.move(box.x + box.width * (1 - 3 / 300), box.y + 50);
  await table.locator(".when.then").waitFor();
  await page.mouse.down();
  await page.mouse.up();
  await page.waitForURL(/at=\d+/);
  const at = Number(new URL(page.url()).searchParams.get("at"));
  expect(Math.abs(end - at)).toBeLessThan(20_000);
  await page.mouse.move(5, 5);
  await eventually("the table of that moment", async () => {
    const there = await api<{ processes: { pid: number }[] }>(`/agents/${server.agent}/processes?at=${Math.floor(at / 1000) * 1000}`);
    const pids = await table.locator("tbody small").allTextContents();
    const shown = pids.map((text) => Number(text.trim().split(" ")[0]));
    const wanted = new Set(there.processes.map((process) => process.pid));
    return shown.length > 0 && shown.every((pid) => wanted.has(pid)) ? true : undefined;
  });
  await table.getByRole("button", { name: "Unpin" }).click();
  await page.waitForFunction(() => !location.search.includes("at="));
  await context.close();
});

test("the page recovers by itself when the server was killed and is back", async () => {
  const fleet = await open(browser, server.url);
  const single = await open(browser, host);
  await fleet.page.getByRole("link", { name: server.agent, exact: true }).waitFor();
  const stamp = () => single.page.getByRole("list", { name: "Now" }).getAttribute("data-timestamp");
  await eventually("a sample", async () => (await stamp()) ?? undefined);
  await server.kill();
  await fleet.page.getByText("No new figures").waitFor();
  await single.page.getByText("no connection to the server").waitFor();
  // What was known still stands.
  const before = await stamp();
  expect(before).not.toBeNull();
  expect(await fleet.page.getByRole("link", { name: server.agent, exact: true }).count()).toBe(1);
  await server.again();
  await fleet.page.locator(".live .dot.ok").waitFor();
  await eventually("newer samples", async () => (Number(await stamp()) > Number(before) ? true : undefined));
  await single.page.locator(".state.ok").waitFor();
  await fleet.context.close();
  await single.context.close();
});

test("a dashboard is made, changed, saved, exported and taken in again", async () => {
  const { page, context } = await open(browser, `${server.url}/boards`);
  await page.getByLabel("New dashboard").fill("Web tier");
  await page.getByRole("button", { name: "Create" }).click();
  await page.waitForURL(/boards\/web-tier-/);
  await page.getByRole("heading", { name: "Web tier" }).waitFor();
  await page.getByRole("region", { name: "Most memory" }).getByRole("link", { name: server.agent }).waitFor();
  await page.getByRole("button", { name: "Edit" }).click();
  const form = page.getByRole("form", { name: "Add a panel" });
  await form.getByLabel("Title").fill("Pressure");
  await form.getByLabel("Hosts").fill(server.agent);
  await form.getByLabel("Metric").fill("pressure.cpu_some_percent");
  await form.getByRole("button", { name: "Add panel" }).click();
  await page.getByRole("button", { name: "Remove Fullest disks" }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Edit" }).waitFor();

  const colleague = await open(browser, page.url());
  await colleague.page.getByRole("region", { name: "Pressure" }).locator(".ng-legend li").first().waitFor();
  expect(await colleague.page.getByRole("region", { name: "Fullest disks" }).count()).toBe(0);
  await colleague.context.close();

  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export JSON" }).click()]);
  const path = await file.path();
  await page.goto(`${server.url}/boards`);
  await page.getByLabel("Import JSON").setInputFiles({ name: "board.json", mimeType: "application/json", buffer: readFileSync(path) });
  await page.waitForURL(/boards\/web-tier-/);
  await page.getByRole("region", { name: "Pressure" }).waitFor();
  const { dashboards } = await api<{ dashboards: { name: string; revision: number }[] }>("/dashboards");
  expect(dashboards.map(({ name, revision }) => [name, revision]).sort()).toEqual([
    ["Web tier", 1],
    ["Web tier", 2],
  ]);
  await context.close();
});

test("everything can be done with the keyboard", async () => {
  const { page, context } = await open(browser, server.url);
  await page.getByRole("link", { name: server.agent, exact: true }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type(server.agent.slice(0, 2));
  await page.waitForURL(/q=/);
  await page.keyboard.press("Escape");
  await page.keyboard.press("t");
  await page.waitForURL(/view=tiles/);
  // A letter is the same key with Shift, and with Caps Lock.
  await page.keyboard.press("Shift+T");
  await page.waitForURL((url) => !url.search.includes("view="));
  await page.getByRole("link", { name: server.agent, exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(new RegExp(`/hosts/${server.agent}`));
  await page.keyboard.press("3");
  await page.waitForURL(/range=1h/);
  await page.keyboard.press("ArrowLeft");
  await page.waitForURL(/from=/);
  await context.close();
});

test("what one may do is what one sees", async () => {
  const call = async (body: object) => {
    const answer = await fetch(`${server.url}/api/v1/tokens`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return (await answer.json()) as { token: string };
  };
  const { token } = await call({ name: "looks", role: "viewer" });
  const viewer = await open(browser, `${server.url}/manage`, { token });
  await viewer.page.getByText("signed in as looks, viewer").waitFor();
  expect(await viewer.page.getByRole("link", { name: "Tokens" }).count()).toBe(0);
  expect(await viewer.page.getByRole("link", { name: "Sessions" }).count()).toBe(1);

  // Dashboards are looked at by everybody, and changed by operators and admins.
  const board = await fetch(`${server.url}/api/v1/dashboards/for-all`, {
    method: "PUT",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "For all", revision: 0, content: { panels: [] } }),
  });
  expect(board.ok).toBe(true);
  await viewer.page.goto(`${server.url}/boards`);
  await viewer.page.getByRole("link", { name: "For all" }).waitFor();
  expect(await viewer.page.getByRole("button", { name: "Create" }).count()).toBe(0);
  expect(await viewer.page.getByLabel("Import JSON").count()).toBe(0);
  await viewer.page.getByRole("link", { name: "For all" }).click();
  await viewer.page.getByRole("button", { name: "Export JSON" }).waitFor();
  expect(await viewer.page.getByRole("button", { name: "Edit" }).count()).toBe(0);
  await viewer.page.goto(`${server.url}/manage`);

  const admin = await open(browser, `${server.url}/boards/for-all`);
  await admin.page.getByRole("button", { name: "Edit" }).waitFor();
  await admin.page.goto(`${server.url}/manage/tokens`);
  const form = admin.page.getByRole("form", { name: "Make a token" });
  await form.getByLabel("Name").fill("grafana");
  await form.getByRole("textbox", { name: "Hosts" }).fill("web-*");
  await form.getByRole("button", { name: "Make a token" }).click();
  const made = (await admin.page.locator(".made pre").textContent()) ?? "";
  expect(made).toMatch(/^ngt_/);
  const seen = await fetch(`${server.url}/api/v1/metrics/agents`, { headers: { authorization: `Bearer ${made}` } });
  expect(((await seen.json()) as { agents: object[] }).agents).toEqual([]);
  await admin.page.getByRole("row", { name: /grafana/ }).getByText("web-*").waitFor();
  // Whoever is revoked is out, within moments and without asking anew.
  admin.page.on("dialog", (dialog) => void dialog.accept());
  await admin.page.getByRole("row", { name: /looks/ }).getByRole("button", { name: "Revoke" }).click();
  await viewer.page.getByRole("button", { name: "Sign in" }).waitFor();
  await admin.page.getByRole("link", { name: "Audit log" }).click();
  await admin.page.getByRole("row", { name: /token\.revoke looks/ }).waitFor();
  await viewer.context.close();
  await admin.context.close();
});

test("a host is added from the page, labelled, and taken out", async () => {
  const { page, context } = await open(browser, `${server.url}/manage`);
  const form = page.getByRole("form", { name: "Add a host" });
  await form.getByLabel("Name").fill("web-01");
  await form.getByLabel("Labels").fill("env=prod, rack=7");
  await form.getByRole("button", { name: "Add a host" }).click();
  const [enroll = ""] = ((await page.locator(".made pre").textContent()) ?? "").split("\n");
  const directory = mkdtempSync(join(tmpdir(), "nodeglass-agent-"));
  const string = enroll.replace("nodeglass-agent enroll ", "");
  await promisify(execFile)(program("nodeglass-agent"), ["enroll", string, "--data-dir", directory]);
  writeFileSync(join(directory, "agent.yaml"), "local_endpoint: {enabled: false}\n");
  const agent = spawn(program("nodeglass-agent"), ["run", "--data-dir", directory, "--config", join(directory, "agent.yaml")], { stdio: "ignore" });
  try {
    await page.locator(".made").getByText("is here").waitFor();
    const row = page.getByRole("row", { name: /web-01/ });
    await row.getByText("env=prod, rack=7").waitFor();
    await row.getByRole("button", { name: "Edit" }).click();
    await page.getByRole("form", { name: "Labels of web-01" }).getByLabel("Labels").fill("env=test, rack=7");
    await page.getByRole("button", { name: "Save" }).click();
    await row.getByText("env=test, rack=7").waitFor();
    const said = await eventually("the change in the audit log", () =>
      page.evaluate(async () => (await (await fetch("/api/v1/audit?action=agent.label&subject=web-01")).json()).entries[0]?.detail as string | undefined),
    );
    expect(said, "what was not touched is not said anew").toBe('{"env":"test"}');
    page.on("dialog", (dialog) => void dialog.accept());
    await row.getByRole("button", { name: "Forget" }).click();
    await row.waitFor({ state: "detached" });
  } finally {
    agent.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
  await context.close();
});

test("a search that fits nothing, a host and a page that are not there are said", async () => {
  const { page, context } = await open(browser, `${server.url}/?q=nothing-like-it`);
  await page.getByText("No host fits").waitFor();
  await page.goto(`${server.url}/hosts/nobody`);
  await page.getByRole("heading", { name: "There is no host nobody" }).waitFor();
  await context.close();
});

describe.each(["light", "dark"] as const)("in %s colours", (theme) => {
  const pages = (): [string, string][] => [
    ["fleet", "/"],
    ["tiles", "/?view=tiles"],
    ["host", "/hosts/AGENT"],
    ["compare", "/compare?lines=AGENT:cpu.usage_percent~AGENT:memory.usage_percent"],
    ["boards", "/boards"],
    ["hosts", "/manage"],
    ["tokens", "/manage/tokens"],
    ["audit", "/manage/audit"],
    ["server", "/server"],
  ];

  test.each([...pages(), ["sign-in", "/"]])("axe finds nothing on %s, and it is no wider than a phone", async (name, path) => {
    for (const [width, height] of [
      [1440, 900],
      [390, 844],
    ] as const) {
      const signedIn = name === "sign-in" ? { token: undefined } : {};
      const { page, context } = await open(browser, server.url + path.replaceAll("AGENT", server.agent), { theme, width, height, ...signedIn });
      await page.locator("h1").first().waitFor();
      const drawn = page.locator("[role=row] a, .tile, .ng-legend li, .board-list, .list, .books tbody tr").first();
      if (name !== "sign-in") await drawn.waitFor({ state: "attached" });
      expect(await violations(page), `${name} at ${width} pixels`).toEqual([]);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(over, `${name} at ${width} pixels is wider than the screen`).toBeLessThanOrEqual(0);
      await context.close();
    }
  });
});
