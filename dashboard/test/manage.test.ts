/** Managing much: a log that is searched and read as far back as it goes, a thousand hosts in a list, commands to take along. */

import { beforeAll, expect, test } from "vitest";
import { eventually } from "../../clients/typescript/test/server.ts";
import { System } from "./system.ts";

const system = new System();
/** Changes in the log: more than a page of it has. */
const CHANGES = 210;

interface Page {
  entries: { id: number; action: string; subject: string; name: string }[];
}

beforeAll(async () => {
  for (let at = 0; at < CHANGES; at++) await system.api(`/agents/${system.server.agent}/labels`, "PATCH", { step: String(at) });
  await system.api("/tokens", "POST", { name: "grafana", role: "viewer" });
  await eventually("all of it in the log", async () => {
    const { entries } = await system.api<Page>("/audit?limit=1000");
    return entries.length > CHANGES && entries.some((entry) => entry.action === "token.add") ? true : undefined;
  });
});

test("the log is searched by who, what and to what, and the address has it", async () => {
  const { page, context, complaints } = await system.open("/manage/audit");
  const rows = page.locator("tbody tr");
  await rows.nth(20).waitFor();
  const search = page.getByRole("search");
  await search.getByLabel("What", { exact: true }).fill("token.*");
  await page.keyboard.press("Enter");
  await page.waitForURL(/what=token/);
  const { entries } = await system.api<Page>("/audit?action=token.*");
  await eventually("those entries alone", async () => ((await rows.count()) === entries.length ? true : undefined));
  expect(await rows.first().textContent()).toContain("token.add");
  await search.getByLabel("To what").fill("nobody");
  await search.getByRole("button", { name: "Find" }).click();
  await page.getByText("Nothing of that kind").waitFor();
  // Who is sent the address sees the same; a step back leads to the search before.
  const colleague = await system.open(new URL(page.url()).pathname + new URL(page.url()).search);
  await colleague.page.getByText("Nothing of that kind").waitFor();
  expect(await colleague.page.getByRole("search").getByLabel("To what").inputValue()).toBe("nobody");
  await colleague.context.close();
  await page.goBack();
  await eventually("the search before", async () => ((await rows.count()) === entries.length ? true : undefined));
  await search.getByLabel("Outcome").selectOption("denied");
  await page.getByText("Nothing of that kind").waitFor();
  await search.getByRole("button", { name: "Show all" }).click();
  await rows.nth(20).waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test("the log goes back to its first entry, page by page, each entry once", async () => {
  const { page, context } = await system.open("/manage/audit");
  const { entries } = await system.api<Page>("/audit?limit=1000");
  const rows = page.locator("tbody tr");
  const more = page.getByRole("button", { name: "Earlier entries" });
  await more.waitFor();
  expect(await rows.count()).toBe(200);
  await more.click();
  await eventually("all entries", async () => ((await rows.count()) >= entries.length ? true : undefined));
  await more.waitFor({ state: "detached" });
  const [first] = entries.slice(-1);
  expect(await rows.last().textContent()).toContain(first?.action ?? "nothing");
  await context.close();
});

test("of a thousand hosts those are drawn that are seen; they are found, and scrolled to the last", async () => {
  const { page, context } = await system.open("/manage/tokens");
  const agents = Array.from({ length: 1_000 }, (_, at) => ({
    agent_id: `host-${String(at).padStart(4, "0")}`, status: "disconnected", last_metrics_update: null, enrolled_at: 0, version: null, labels: at % 2 ? { env: "prod", ...(at > 900 ? { rack: "a-long-name-of-a-rack" } : {}) } : {}, groups: [], flags: [], settings_applied: null,
  }));
  await context.route("**/api/v1/agents?*", (route) => route.fulfill({ json: { agents, total: agents.length } }));
  await page.goto(`${system.server.url}/manage`);
  await page.getByRole("link", { name: "host-0000", exact: true }).waitFor();
  expect(await page.locator("tbody tr").count()).toBeLessThan(80);
  expect(await page.locator("table").getAttribute("aria-rowcount")).toBe("1001");
  const columns = () => page.locator("thead th").evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().left)));
  const before = await columns();
  await page.mouse.move(600, 500);
  await eventually("the last of them", async () => {
    await page.mouse.wheel(0, 20_000);
    return (await page.getByRole("link", { name: "host-0999", exact: true }).count()) === 1 ? true : undefined;
  });
  expect(await page.locator("tbody tr").count()).toBeLessThan(80);
  expect(await columns(), "the columns stayed where they were").toEqual(before);
  await page.getByLabel("Find").fill("env=prod host-099");
  await page.waitForURL(/q=env/);
  await page.getByText("5 of 1000 hosts").waitFor();
  await page.getByRole("link", { name: "host-0991", exact: true }).waitFor();
  await context.close();
});

test("commands and secrets are copied at a press", async () => {
  const { page, context } = await system.open("/manage");
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const form = page.getByRole("form", { name: "Add a host" });
  await form.getByLabel("Name").fill("web-77");
  await form.getByRole("button", { name: "Add a host" }).click();
  const command = (await page.locator(".made pre").textContent()) ?? "";
  expect(command).toMatch(/^nodeglass-agent enroll \S+\nnodeglass-agent run$/);
  await page.getByRole("button", { name: "Copy the commands" }).click();
  await page.getByRole("status").filter({ hasText: "Copied" }).last().waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(command);
  // A browser that lends no clipboard marks it, so that a key copies it.
  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await page.locator(".made").getByRole("button", { name: /the commands/ }).click();
  expect(await page.evaluate(() => getSelection()?.toString().trim())).toBe(command);
  await context.close();
});

test("axe finds nothing on the log and the hosts", async () => {
  await system.isAccessible("/manage/audit?what=token.*", "tbody tr");
  await system.isAccessible("/manage", "tbody th");
});
