/** Each component in a real browser before a real server: its figures are the API's, and loading, trouble and emptiness are said. */

import type { Page } from "playwright-core";
import { expect, test as always } from "vitest";
import { eventually } from "../../typescript/test/server.ts";
import { PANELS, type Panel, exact, show } from "../src/index.ts";
import { HAS_BROWSER, Stage } from "./stage.ts";

const stage = new Stage();
const test = always.skipIf(!HAS_BROWSER);

/** The charts by name, and the panel that each shows. */
const CHARTS: Record<string, string> = {
  CpuUsageChart: "cpu",
  CpuCoresChart: "cores",
  MemoryUsageChart: "memory",
  DiskUsageChart: "disk-space",
  DiskThroughputChart: "disk-throughput",
  NetworkUsageChart: "network",
  LoadChart: "load",
};

function panelOf(id: string): Panel {
  const found = PANELS.find((one) => one.id === id);
  if (!found) throw new Error(`there is no panel ${id}`);
  return found;
}

/** How often a question is tried before its answer is that there is none. */
const TRIES = 6;

/** The legend of a chart: each label with its figure, and the exact one behind it. */
async function legend(page: Page, title: string): Promise<{ label: string; figure: string; exact: string }[]> {
  const entries = page.getByRole("region", { name: title, exact: true }).locator(".ng-legend li");
  return entries.evaluateAll((all) =>
    all.map((one) => {
      const figure = one.querySelector("b");
      return { label: one.querySelector("span")?.textContent ?? "", figure: figure?.textContent ?? "", exact: figure?.title ?? "" };
    }),
  );
}

/** A span in which there are samples, and which is over: its figures stay what they are. */
async function settledSpan(): Promise<{ from: number; to: number }> {
  const agent = stage.server.agent;
  return eventually("samples of some seconds in the store", async () => {
    const { data } = await stage.client.getHistoricalMetrics(agent, { metrics: ["memory.used_bytes", "cpu.user_percent"], start: "-2m" });
    const last = data.at(-2);
    if (data.length < 6 || !last) return undefined;
    const span = { from: (last.timestamp - 4) * 1000, to: (last.timestamp + 1) * 1000 };
    for await (const stored of stage.client.exportSamples({ agents: [agent], start: span.from })) if (stored.timestamp >= span.to) return span;
    return undefined;
  });
}

test.each(Object.entries(CHARTS))("%s shows the figures of the API", async (name, id) => {
  const panel = panelOf(id);
  const span = await settledSpan();
  const { page, complaints } = await stage.open(name, span);
  const history = await stage.client.getHistoricalMetrics(stage.server.agent, {
    metrics: panel.metrics,
    start: span.from,
    end: span.to,
    max_points: 600,
  });
  const keys = [...new Set(history.data.flatMap((bucket) => Object.keys(bucket)))].filter((key) => key !== "timestamp");
  const { series } = panel.series(keys);
  expect(series.length).toBeGreaterThan(0);
  const wanted = series.map(({ key, label }) => {
    const value = history.data.findLast((bucket) => bucket[key] !== undefined)?.[key];
    return { label, figure: show(value, panel.unit), exact: exact(value, panel.unit) };
  });
  await page.locator("[data-drawn] .ng-legend li").first().waitFor();
  await expect.poll(() => legend(page, panel.title)).toEqual(wanted);
  // Something is drawn: not all of the plot is of one colour.
  const colours = await page.locator("canvas").first().evaluate((canvas) => {
    const { width, height } = canvas as HTMLCanvasElement;
    const pixels = (canvas as HTMLCanvasElement).getContext("2d")?.getImageData(0, 0, width, height).data ?? [];
    return new Set(Array.from({ length: pixels.length / 4 }, (_, at) => pixels.slice(at * 4, at * 4 + 4).join())).size;
  });
  expect(colours).toBeGreaterThan(3);
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("charts that are fed by hand show what they are given", async () => {
  const { page, complaints } = await stage.open("Given");
  const output = page.locator("output");
  await expect.poll(() => legend(page, "Memory")).toHaveLength(4);
  await eventually("a sample and its figures", async () => {
    const sample = JSON.parse((await output.textContent()) || "null");
    const shown = await legend(page, "Memory");
    const disks = await legend(page, "Disk space");
    if ((await output.textContent()) !== JSON.stringify(sample)) return undefined;
    const root = sample.disks.find((disk: { mount_point?: string }) => disk.mount_point === "/");
    const isSame =
      shown.find((one) => one.label === "used")?.figure === show(sample.memory.used_bytes, "bytes") &&
      (!root || disks.find((one) => one.label === "/")?.figure === show(root.usage_percent, "%"));
    return isSame || undefined;
  });
  expect((await legend(page, "CPU")).map((one) => one.label)).toContain("user");
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("the exact figure goes on where the rounded one stands", async () => {
  const { page, complaints } = await stage.open("Counted");
  const used = async () => (await legend(page, "Memory")).find((one) => one.label === "used");
  await expect.poll(async () => (await used())?.exact).toBe("8,000,000,000 bytes");
  const before = await used();
  await page.getByRole("button", { name: "More" }).click();
  await expect.poll(async () => (await used())?.exact).not.toBe(before?.exact);
  expect((await used())?.figure).toBe(before?.figure);
  expect(complaints).toEqual([]);
  await page.context().close();
});

test.each(["SystemInfoCard", "Card"])("%s says what the host is", async (name) => {
  const info = await stage.client.getSystemInfo(stage.server.agent);
  const { page, complaints } = await stage.open(name);
  const card = page.getByRole("region", { name: "System" });
  const term = (title: string) => card.locator("div", { has: page.locator("dt", { hasText: new RegExp(`^${title}$`) }) }).locator("dd");
  expect(await term("Memory").textContent()).toBe(show(info.hardware?.memory.total_bytes, "bytes"));
  expect(await term("Kernel").textContent()).toBe(`${info.software?.os.kernel_version} · ${info.hardware?.architecture}`);
  expect(await term("Processor").textContent()).toContain(`${info.hardware?.cpu.model}, ${info.hardware?.cpu.cores} core`);
  expect(await term("Up for").textContent()).toMatch(/\d/);
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("a whole host goes on live, says that the server is gone, and comes back", async () => {
  const { page } = await stage.open("AgentMetricsDashboard");
  for (const title of ["System", "CPU", "Memory", "Disk space", "Disk throughput", "Network", "Load"])
    await page.getByRole("region", { name: title, exact: true }).waitFor();
  const used = async () => (await legend(page, "Memory")).find((one) => one.label === "used")?.exact ?? "";
  const isLive = async (what: string) => {
    const seen = new Set([await used()]);
    await eventually(what, async () => (seen.add(await used()).size > 2 ? true : undefined));
  };
  await isLive("figures that go on");
  expect(await page.getByRole("status").count()).toBe(0);
  await stage.server.kill();
  await page.getByRole("status").filter({ hasText: "The connection broke; trying again." }).waitFor();
  // What was shown stands.
  expect(await used()).toMatch(/^[\d,]+ bytes$/);
  let refused = 0;
  await page.route("**/history?metrics=memory.*", (call) => {
    refused += 1;
    return call.fulfill({ status: 503, json: { code: "database_unavailable", detail: "not now" } });
  });
  await stage.server.again();
  await page.getByRole("status").waitFor({ state: "detached" });
  await isLive("figures that go on after it, though there is no history");
  await expect.poll(() => refused, { timeout: 60_000 }).toBeGreaterThan(TRIES);
  const history = page.waitForResponse((answer) => answer.url().includes("history?metrics=memory.") && answer.ok());
  await page.unroute("**/history?metrics=memory.*");
  await history;
  await page.context().close();
});

test("what is on its way is said to be", async () => {
  const { page } = await stage.open("SystemInfoCard");
  await page.route("**/api/**", () => {});
  await page.reload();
  await page.getByText("Asking the host…").waitFor();
  await page.goto(page.url().replace("SystemInfoCard", "MemoryUsageChart"));
  await page.getByRole("region", { name: "Memory" }).getByText("loading").waitFor({ state: "attached" });
  expect(await legend(page, "Memory")).toEqual([]);
  await page.goto(page.url().replace("MemoryUsageChart", "Given"));
  await page.getByRole("region", { name: "Memory" }).getByText("Waiting for figures").waitFor();
  await page.context().close();
});

test.each([
  ["an agent that is not there", { agent: "nobody" }, /no agent.*nobody/],
  ["a token that opens nothing", { token: "wrong" }, /token/],
])("%s is said by every component", async (_, wish, words) => {
  const chart = await stage.open("MemoryUsageChart", wish);
  await chart.page.getByRole("region", { name: "Memory" }).getByText(/^Can't be shown: /).waitFor();
  expect(await chart.page.getByText(/^Can't be shown: /).textContent()).toMatch(words);
  const card = await stage.open("SystemInfoCard", wish);
  await card.page.getByText(words).waitFor();
  const host = await stage.open("AgentMetricsDashboard", wish);
  await host.page.getByRole("status").filter({ hasText: words }).waitFor();
  for (const { page } of [chart, card, host]) await page.context().close();
});

test("a span without figures says so", async () => {
  const from = Date.now() - 6 * 3_600_000;
  const { page, complaints } = await stage.open("LoadChart", { from, to: from + 600_000 });
  await page.getByText("No figures in this span").waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("the example is a page", async () => {
  const { page, complaints } = await stage.open("Page");
  await page.getByRole("listitem").filter({ hasText: new RegExp(`^${stage.server.agent} [\\d.]+\\u202f%$`) }).waitFor();
  expect(await page.getByRole("region", { name: "Memory" }).count()).toBe(2);
  expect(await page.getByRole("region", { name: "CPU" }).count()).toBe(2);
  expect(complaints).toEqual([]);
  await page.context().close();
});
