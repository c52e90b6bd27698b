/** Pages while they wait, when what they ask fails, when what they show is old, and with nothing to show: axe finds nothing on any of them. */

import type { Page, Route } from "playwright-core";
import { expect, test } from "vitest";
import { eventually } from "../../clients/typescript/test/server.ts";
import { violations } from "./axe.ts";
import { System } from "./system.ts";

const system = new System();
const host = () => `/hosts/${system.server.agent}?range=5m`;

/** Answers of the API that never come, but for who is signed in. */
const never = (route: Route) => (route.request().url().includes("/session") ? route.continue() : undefined);
/** Those that fail, as the server says it. */
const fails = (route: Route) =>
  route.request().url().includes("/session")
    ? route.continue()
    : route.fulfill({ status: 500, contentType: "application/problem+json", body: JSON.stringify({ type: "about:blank", title: "Internal error", status: 500, code: "internal", detail: "the database is away" }) });

/** Opens a page in both colours, has its API answered otherwise, and looks at it once it shows what it is to show. */
async function look(path: string, answer: (route: Route) => unknown, shows: (page: Page) => Promise<unknown>): Promise<void> {
  for (const theme of ["light", "dark"] as const) {
    const { page, context } = await system.open("/manage/account", { theme });
    await context.route("**/api/v1/**", (route) => void answer(route));
    await page.goto(system.server.url + path);
    await shows(page);
    expect(await violations(page), `${path} in ${theme}`).toEqual([]);
    await context.close();
  }
}

test("while nothing has come, the fleet has room for it and says that it waits", async () => {
  await look("/", never, async (page) => {
    await page.locator(".ghosts").waitFor();
    await page.getByText("connecting…").waitFor();
  });
});

test("while nothing has come, a host's page says what it waits for", async () => {
  await look(host(), never, async (page) => {
    await page.getByText("Waiting for the first sample…").waitFor();
    await page.getByText("Asking the host…").waitFor();
    await page.getByText("Reading the books…").waitFor();
  });
});

test("what fails is said where it would be", async () => {
  await look(host(), fails, async (page) => {
    // Asked again some times before.
    await page.getByText(/Can't be shown: .*database is away/).first().waitFor({ timeout: 60_000 });
  });
  await look("/", fails, (page) => page.getByText(/The server can't be asked: .*database is away/).waitFor());
});

test("lists that have nothing say what to do", async () => {
  const nothing = (route: Route) => {
    const { pathname } = new URL(route.request().url());
    return pathname.includes("/session") ? route.continue() : route.fulfill({ json: { dashboards: [], agents: [], entries: [], dropped: 0, total: 0, tokens: [], users: [] } });
  };
  await look("/boards", nothing, (page) => page.getByText("None yet. Name the first one above.").waitFor());
  await look("/manage", nothing, (page) => page.getByText("No hosts yet: add one").waitFor());
  await look("/manage/audit", nothing, (page) => page.getByText("Nothing yet").waitFor());
  await look("/compare", nothing, (page) => page.getByText("Choose a host and a metric above.").waitFor());
});

test("tasks are bars on the axis of the charts: a running one to its end, a failed one so", async () => {
  const { page, context } = await system.open(host());
  const now = Date.now();
  const task = (task_id: string, started_at: number, more: object) => ({
    task_id, command: `run ${task_id}`, started_at, last_seen_at: now, ended_at: null, state: "running", exit_code: null, pids: [], ...more,
  });
  await context.route("**/api/v1/agents/*/tasks?*", (route) =>
    route.fulfill({
      json: {
        tasks: [
          task("backup", now - 150_000, { ended_at: now - 75_000, state: "ended", exit_code: 3 }),
          task("deploy", now - 60_000, {}),
          task("index", now - 120_000, { ended_at: now - 30_000, state: "ended", exit_code: 0 }),
        ],
      },
    }),
  );
  await page.reload();
  const tasks = page.getByRole("region", { name: "Tasks" });
  await tasks.getByText("deploy").waitFor();
  const bar = async (name: string) => {
    const one = tasks.locator(".task").filter({ hasText: name });
    const [place, lanes] = [await one.boundingBox(), await tasks.locator(".lanes").boundingBox()];
    if (!place || !lanes) throw new Error("no place");
    const share = (x: number) => (x - lanes.x) / lanes.width;
    return { from: share(place.x), to: share(place.x + place.width), top: place.y, className: (await one.getAttribute("class")) ?? "" };
  };
  const [backup, deploy, index] = [await bar("backup"), await bar("deploy"), await bar("index")];
  expect(backup.from).toBeCloseTo(0.5, 1);
  expect(backup.to).toBeCloseTo(0.75, 1);
  expect(deploy.to).toBeCloseTo(1, 1);
  expect(backup.className).toContain("failed");
  expect(index.className).not.toContain("failed");
  // What overlaps stands on a line of its own, what does not goes behind.
  expect(index.top).not.toBe(backup.top);
  expect(deploy.top).toBe(backup.top);
  // The axis is that of the charts.
  const [lanes, plot] = [await tasks.locator(".lanes").boundingBox(), await page.locator(".charts").boundingBox()];
  expect(lanes && plot && lanes.x - plot.x).toBeGreaterThan(50);
  expect(await tasks.locator(".task").filter({ hasText: "backup" }).getAttribute("title")).toContain("exit code 3");
  expect(await violations(page)).toEqual([]);
  await context.close();
});

test("a user is made, given another role, and removed; what they see follows", async () => {
  const { page, context, complaints } = await system.open("/manage/users");
  page.on("dialog", (dialog) => void dialog.accept());
  const form = page.getByRole("form");
  await form.getByLabel("Name").fill("ada");
  await form.getByLabel("First password").fill("a passphrase for tests");
  await form.getByLabel("Role").selectOption("viewer");
  await form.getByRole("button", { name: "Add user" }).click();
  const row = page.getByRole("row", { name: /ada/ });
  await row.waitFor();
  const ada = await system.open("/boards", { token: undefined, user: { user: "ada", password: "a passphrase for tests" } });
  await ada.page.getByRole("heading", { name: "Dashboards" }).waitFor();
  expect(await ada.page.getByRole("button", { name: "Create" }).count()).toBe(0);
  await row.getByRole("combobox").selectOption("operator");
  await eventually("an operator's page", async () => {
    await ada.page.reload();
    await ada.page.getByRole("heading", { name: "Dashboards" }).waitFor();
    return (await ada.page.getByRole("button", { name: "Create" }).count()) === 1 ? true : undefined;
  });
  await system.isAccessible("/manage/users", "td");
  await row.getByRole("button", { name: /Remove/ }).click();
  await row.waitFor({ state: "detached" });
  await ada.page.goto(`${system.server.url}/boards`);
  await ada.page.getByRole("button", { name: "Sign in" }).waitFor();
  expect(complaints).toEqual([]);
  await ada.context.close();
  await context.close();
});

test("figures that are old have lost their colour and say so, and axe finds nothing then", async () => {
  const fleet = await system.open("/");
  await fleet.page.getByRole("link", { name: system.server.agent, exact: true }).waitFor();
  const single = await system.open(host(), { theme: "light" });
  await single.page.locator("[data-panel=cpu][data-drawn]").waitFor();
  await single.page.locator(".state.ok").waitFor();
  await system.server.kill();
  await fleet.page.getByText("No new figures").waitFor();
  expect(await fleet.page.locator(".stale").evaluate((one) => getComputedStyle(one).filter)).toContain("saturate");
  await single.page.getByText("no connection to the server").waitFor();
  await eventually("the figures of before still stand", async () => ((await single.page.locator(".summary b").first().textContent()) !== "–" ? true : undefined));
  expect(await violations(fleet.page)).toEqual([]);
  expect(await violations(single.page)).toEqual([]);
  await system.server.again();
  await fleet.context.close();
  await single.context.close();
});
