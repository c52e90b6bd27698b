/** A host with many cores, GPUs, containers and sensors: what is drawn of them, and that rows of colour do what lines do. */

import type { MetricsSnapshot } from "@nodeglass/client";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../../clients/typescript/test/server.ts";
import { recordTexts, textsOn } from "./canvas.ts";
import { CORES, HostTree, busyPercent } from "./host_tree.ts";
import { RemoteAgent } from "./relay.ts";
import { System } from "./system.ts";

const HOST = "big-01";
/** The width of a chart's value axis. */
const AXIS_WIDTH = 58;
const system = new System();
const tree = new HostTree();
const agent = new RemoteAgent();
const address = (query = "range=5m") => `/hosts/${HOST}?${query}`;
const cores = "[data-panel=cores]";

beforeAll(async () => {
  const { enrolment } = await system.api<{ enrolment: string }>("/agents", "POST", { name: HOST });
  await agent.start(enrolment, `server: ${system.server.url}\nhost_root: ${tree.root}\nmetrics: {collection_interval: 1s}\n`);
  await eventually("some history of its cores", async () => {
    const { data } = await system.api<{ data: object[] }>(`/agents/${HOST}/metrics/history?metrics=cpu.core_usage@15&start=-1m`);
    return data.length > 3 ? data : undefined;
  });
});

afterAll(() => {
  agent.end();
  tree.end();
});

async function rows(page: Page) {
  const canvas = page.locator(`${cores} canvas`);
  await canvas.waitFor();
  await page.locator(`${cores}[data-drawn]`).waitFor();
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  if (!box) throw new Error("the rows have no place");
  return { canvas, box };
}

/** A sample in which nothing is missing: one that was taken while the processors had more to do than they could may lack some. */
const wholeSample = () =>
  eventually("a sample with all that the host has", async () => {
    const sample = await system.api<MetricsSnapshot>(`/agents/${HOST}/metrics`);
    const { cpu, gpus, containers, temperatures } = sample;
    return [cpu?.cores, gpus, containers, temperatures].every((list) => list?.length) ? sample : undefined;
  });

test("each core is a row, as busy as the API says, and named", async () => {
  const { page, context, complaints } = await system.open(address());
  await recordTexts(context);
  await page.reload();
  const { box } = await rows(page);
  await eventually("names of the first and other rows", async () => ((await textsOn(page, cores)).includes("core 0") ? true : undefined));
  expect((await wholeSample()).cpu?.cores?.length).toBe(CORES);
  // Over the row of a core, its figure stands beside the pointer.
  for (const core of [2, 15]) {
    let looks = 0;
    const figure = await eventually(`the figure of core ${core} beside the pointer`, async () => {
      looks += 1;
      await page.mouse.move(box.x + box.width - 12 - (looks % 2), box.y + ((box.height - 26) * (core + 0.5)) / CORES);
      const [, name, figure] = /^core (\d+): ([\d.]+)/.exec((await page.locator(`${cores} .ng-tip`).textContent()) ?? "") ?? [];
      return Number(name) === core ? Number(figure) : undefined;
    });
    expect(Math.abs(figure - busyPercent(core))).toBeLessThan(12);
  }
  expect(complaints).toEqual([]);
  await context.close();
});

test("the cursor over rows moves in the line charts, and theirs over the rows", async () => {
  const { page, context } = await system.open(address(), { height: 1400 });
  const { box } = await rows(page);
  // Beside each other, their time axes stand on one line.
  const lines = await page.locator("[data-panel=cpu] canvas").boundingBox();
  expect(Math.abs((lines?.y ?? 0) + (lines?.height ?? 0) - box.y - box.height)).toBeLessThanOrEqual(1);
  const lineAt = (panel: string) => page.locator(`[data-panel=${panel}] .u-cursor-x`).evaluate((line) => new DOMMatrix(getComputedStyle(line).transform).m41);
  await page.mouse.move(box.x + box.width * 0.6, box.y + 40);
  const over = await page.locator("[data-panel=cpu] .u-over").boundingBox();
  // Both have their value axis left of it.
  const wanted = box.width * 0.6 - AXIS_WIDTH;
  await eventually("the cursor of another chart at the same moment", async () => (Math.abs((await lineAt("cpu")) - wanted) < 3 ? true : undefined));
  expect(await page.locator("[data-panel=cpu] .u-cursor-x").isVisible()).toBe(true);
  await page.mouse.move(5, 5);
  await page.locator("[data-panel=cpu] .u-cursor-x").waitFor({ state: "hidden" });
  // And the other way.
  await page.mouse.move((over?.x ?? 0) + 200, (over?.y ?? 0) + 40);
  const line = page.locator(`${cores} .ng-line`);
  await eventually("the line over the rows", async () => {
    const place = await line.boundingBox();
    return (await line.isVisible()) && place && Math.abs(place.x - box.x - AXIS_WIDTH - 200) < 3 ? true : undefined;
  });
  await context.close();
});

test("a drag over rows zooms all charts, and is no click", async () => {
  const { page, context } = await system.open(address());
  const { box } = await rows(page);
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + 60, { steps: 4 });
  expect(await page.locator(`${cores} .ng-select`).isVisible()).toBe(true);
  // To the edge, where there is something of an agent that runs for seconds.
  await page.mouse.move(box.x + box.width - 2, box.y + 60, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  const query = new URL(page.url()).searchParams;
  const share = (box.width * 0.5 - 2) / (box.width - 64);
  expect((Number(query.get("to")) - Number(query.get("from"))) / 300_000).toBeCloseTo(share, 1);
  expect(query.get("at"), "nothing was kept").toBeNull();
  expect(await page.locator(`${cores} .ng-select`).isVisible()).toBe(false);
  // A click still keeps a moment.
  await page.locator(`${cores} canvas`).click({ position: { x: box.width * 0.5, y: 40 } });
  await page.waitForURL(/at=\d+/);
  await context.close();
});

test("GPUs, containers, temperatures and swap are shown with what the API has", async () => {
  const { page, context } = await system.open(address(), { height: 4000 });
  const sample = await wholeSample();
  expect(sample.gpus?.length).toBe(3);
  const entries = async (panel: string) => {
    const all = page.locator(`[data-panel=${panel}] .ng-legend li`);
    await all.first().waitFor();
    return new Map(await all.evaluateAll((list) => list.map((one) => [one.children[1]?.textContent ?? "", one.lastElementChild?.textContent ?? ""] as const)));
  };
  for (const [panel, name, figure] of [["gpu", "0 use", "37.0\u202f%"], ["gpu", "0 memory", "25.0\u202f%"], ["gpu-power", "GPU 0", "187.5\u202fW"]] as const)
    await eventually(`${figure} as ${name}`, async () => ((await entries(panel)).get(name) === figure ? true : undefined));
  const containers = (sample.containers ?? []).map((one) => one.name);
  expect(containers.length).toBeGreaterThan(1);
  expect([...(await entries("container-memory")).keys()].sort()).toEqual(containers.sort());
  expect((await entries("temperature")).size).toBe(sample.temperatures?.length);
  await entries("swap");
  await entries("pressure");
  await context.close();
});

test("while its agent does not run there is a gap that says so, on rows and on lines", async () => {
  await agent.kill();
  const lost = await eventually("the server to note it", async () => {
    const { events } = await system.api<{ events: { timestamp: number }[] }>(`/agents/${HOST}/events?kind=lost,disconnected`);
    return events[0]?.timestamp;
  });
  await eventually("some seconds without samples", async () => (Date.now() > lost + 25_000 ? true : undefined));
  agent.run();
  const gap = await eventually("the gap", async () => {
    const { gaps } = await system.api<{ gaps: { reason: string; from: number; to: number }[] }>(`/agents/${HOST}/gaps?start=-5m`);
    return gaps.find((one) => one.reason === "not_running");
  });
  const { page, context } = await system.open(address(`from=${gap.from - 30_000}&to=${gap.to + 30_000}`));
  await recordTexts(context);
  await page.reload();
  await rows(page);
  for (const panel of ["cores", "memory"])
    await eventually(`the reason on ${panel}`, async () => ((await textsOn(page, `[data-panel=${panel}]`)).includes("agent not running") ? true : undefined));
  await page.getByRole("region", { name: "Ledger" }).getByText("agent not running").first().waitFor();
  // Beside a host that went on, it has a lane of its own that names it.
  await page.goto(`${system.server.url}/compare?from=${gap.from - 30_000}&to=${gap.to + 30_000}&lines=${HOST}:memory.usage_percent~${system.server.agent}:memory.usage_percent`);
  const chart = page.getByRole("region", { name: "Lines in %" });
  await eventually("the reason beside the name", async () => ((await textsOn(page, "[aria-label='Lines in %']")).includes(`${HOST}: agent not running`) ? true : undefined));
  expect(await chart.locator(".ng-gaps").getAttribute("title")).toContain(`${HOST}: agent not running`);
  await context.close();
});
