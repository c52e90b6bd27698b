/** The fleet with many hosts, which push their figures: who stands first and why, search, order and groups, and what is drawn of it. */

import type { Page } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { eventually } from "../../clients/typescript/test/server.ts";
import { System } from "./system.ts";

const system = new System();
/** Hosts in the fleet beside the server's own: more than a screen has rows. */
const HOSTS = 40;
const names = Array.from({ length: HOSTS }, (_, at) => `${at % 2 ? "db" : "web"}-${String(at + 1).padStart(2, "0")}`);
/** How much memory each uses in percent: no two alike, and some too much. */
const memory = (at: number) => (at === 6 ? 97 : at === 9 ? 88 : 10 + at);
const FULL_DISK = 11;

beforeAll(async () => {
  for (const [at, name] of names.entries()) {
    await system.api("/agents/register", "POST", { agent_id: name, hostname: name, os: "linux", metrics_interval: 3600, heartbeat_interval: 3600 });
    await system.api(`/agents/${name}/metrics`, "POST", {
      cpu_usage: 5,
      memory_usage: memory(at),
      disk_usage: at === FULL_DISK ? 99 : 40,
      network_io: { bytes_sent_per_sec: 125_000, bytes_recv_per_sec: 1_250_000 },
    });
  }
  for (const name of ["web-01", "db-02", "web-03"]) await system.api(`/agents/${name}/labels`, "PATCH", { env: name === "web-03" ? "test" : "prod" });
});

/** The hosts of the rows that are drawn, from the top. */
function drawn(page: Page): Promise<string[]> {
  return page
    .locator("[role=row]:not(.head, .heading)")
    .evaluateAll((rows) =>
      [...rows].sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top).map((row) => row.querySelector("a")?.textContent ?? ""),
    );
}

function row(page: Page, host: string) {
  return page.locator("[role=row]").filter({ has: page.getByRole("link", { name: host, exact: true }) });
}

test("the worst stand first, each with the word that says why, and its figures are the API's", async () => {
  const { page, context, complaints } = await system.open("/");
  // Beside those that push, the server's own host may stand anywhere: it is a busy one while tests run.
  await eventually("the three that are in trouble before all others", async () => {
    const hosts = (await drawn(page)).filter((name) => name !== system.server.agent);
    return hosts.slice(0, 3).join() === "db-12,web-07,db-10" ? true : undefined;
  });
  for (const [host, word, health] of [["db-12", "disk", "hot"], ["web-07", "memory", "hot"], ["db-10", "memory", "warm"]] as const) {
    const why = row(page, host).locator(".why");
    expect(await why.textContent()).toBe(word);
    expect(await why.getAttribute("class")).toContain(health);
  }
  expect(await row(page, "db-12").locator(".why").getAttribute("title")).toBe("disk 99.0\u202f%: hot, 95 % and more");
  expect(await row(page, "web-07").locator(".memory b").textContent()).toBe("97.0\u202f%");
  expect(await row(page, "web-07").locator(".network").textContent()).toBe("↓ 10\u202fMbit/s↑ 1\u202fMbit/s");
  expect(await row(page, "web-01").locator(".why").count()).toBe(0);
  // What says more on hover is within reach of the pointer, and a click on it goes where the row goes.
  const figure = row(page, "web-07").locator(".memory b");
  expect(await figure.evaluate((one) => document.elementFromPoint(one.getBoundingClientRect().x + 4, one.getBoundingClientRect().y + 4) === one)).toBe(true);
  await figure.click();
  await page.waitForURL(/hosts\/web-07/);
  expect(complaints).toEqual([]);
  await context.close();
});

test("of many hosts only those are drawn that are seen, and scrolling brings the others", async () => {
  const { page, context } = await system.open("/?sort=name&q=-", { height: 600 });
  await page.getByRole("link", { name: "db-02", exact: true }).waitFor();
  expect(await page.getByRole("table", { name: "Hosts" }).getAttribute("aria-rowcount")).toBe(String(HOSTS + 1));
  expect((await drawn(page)).length).toBeLessThan(HOSTS);
  expect(await page.getByRole("link", { name: "web-39", exact: true }).count()).toBe(0);
  await page.mouse.move(400, 400);
  await page.mouse.wheel(0, 5_000);
  await page.getByRole("link", { name: "web-39", exact: true }).waitFor();
  await context.close();
});

test("hosts are found by name and by label, sorted either way, and grouped; the address has it all", async () => {
  const { page, context } = await system.open("/");
  await page.getByRole("searchbox").fill("env=prod");
  await page.waitForURL(/q=env%3Dprod/);
  await eventually("those with the label", async () => ((await drawn(page)).sort().join() === "db-02,web-01" ? true : undefined));
  await page.getByRole("searchbox").fill("env=prod web");
  await eventually("those with the label and the name", async () => ((await drawn(page)).join() === "web-01" ? true : undefined));

  await page.getByRole("searchbox").fill("web-0");
  await page.getByRole("button", { name: "Memory" }).click();
  await page.waitForURL(/sort=memory/);
  await eventually("most memory first", async () => ((await drawn(page)).join() === "web-07,web-09,web-05,web-03,web-01" ? true : undefined));
  expect(await page.getByRole("columnheader", { name: "Memory" }).getAttribute("aria-sort")).toBe("descending");
  await page.getByRole("button", { name: "Memory" }).click();
  await eventually("least memory first", async () => ((await drawn(page)).join() === "web-01,web-03,web-05,web-09,web-07" ? true : undefined));

  await page.getByLabel("Group").selectOption("env");
  const headings = page.locator(".row.heading");
  await headings.first().waitFor();
  expect(await headings.allTextContents()).toEqual(["prod 1", "test 1", "no env 3"]);
  const link = new URL(page.url());
  const colleague = await system.open(link.pathname + link.search);
  await colleague.page.locator(".row.heading").first().waitFor();
  expect(await drawn(colleague.page)).toEqual(await drawn(page));
  await colleague.context.close();
  await context.close();
});

test("on a phone a row has every figure, and none is cut off", async () => {
  const { page, context } = await system.open("/?q=web-07", { width: 390, height: 844 });
  await row(page, "web-07").waitFor();
  for (const name of ["cpu", "memory", "disk", "network", "load"]) expect(await row(page, "web-07").locator(`.${name}`).isVisible(), name).toBe(true);
  expect(await row(page, "web-07").locator(".network").textContent()).toContain("↓ 10\u202fMbit/s");
  const cells = row(page, "web-07").locator("[role=cell]");
  const over = await cells.evaluateAll((cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.className));
  expect(over).toEqual([]);
  const places = await cells.evaluateAll((cells) =>
    cells.map((cell) => {
      const { left, right, top, bottom } = cell.getBoundingClientRect();
      return { name: cell.className, left, right, top, bottom };
    }),
  );
  const seen = places.filter(({ left, right }) => right > left);
  const around = await row(page, "web-07").boundingBox();
  if (!around) throw new Error("the row has no place");
  for (const one of seen) {
    expect(one.left >= around.x && one.right <= around.x + around.width + 1, `${one.name} lies within the row`).toBe(true);
    expect(one.top >= around.y - 1 && one.bottom <= around.y + around.height + 1, `${one.name} is no higher than the row`).toBe(true);
    for (const other of seen) {
      const apart = one === other || one.right <= other.left + 1 || other.right <= one.left + 1 || one.bottom <= other.top + 1 || other.bottom <= one.top + 1;
      expect(apart, `${one.name} and ${other.name} lie apart`).toBe(true);
    }
  }
  await context.close();
});

test("a tile has small charts of everything", async () => {
  const { page, context } = await system.open("/?view=tiles&q=web-07");
  const tile = page.locator(".tile");
  await tile.waitFor();
  expect(await tile.locator(".small-chart").allTextContents()).toEqual(["mem 97.0\u202f%", "disk 40.0\u202f%", "net 11\u202fMbit/s", "load –"]);
  expect(await tile.locator("canvas").count()).toBe(5);
  expect(await tile.locator(".why").textContent()).toBe("memory");
  await context.close();
});

test("nothing moves for those who want no motion", async () => {
  const { page, context } = await system.open("/", { reducedMotion: "reduce" });
  const dot = page.locator(".live .pulse");
  await dot.waitFor();
  const moving = () => page.evaluate(() => document.getAnimations().filter((one) => one.playState === "running" && Number(one.effect?.getComputedTiming().duration) > 1).length);
  expect(await moving()).toBe(0);
  await page.goto(`${system.server.url}/hosts/${system.server.agent}`);
  await page.locator(".state.ok .pulse").waitFor();
  expect(await moving()).toBe(0);
  await context.close();
  const other = await system.open("/", { reducedMotion: "no-preference" });
  await other.page.locator(".live .pulse").waitFor();
  expect(await other.page.evaluate(() => document.getAnimations().length), "for others it does").toBeGreaterThan(0);
  await other.context.close();
});

test.each(["/", "/?view=tiles", "/?group=env"])("axe finds nothing on %s with hosts in trouble", async (path) => {
  await system.isAccessible(path, ".why");
});
