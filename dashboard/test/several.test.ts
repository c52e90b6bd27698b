/** Charts of several hosts: Compare, and dashboards of people's own. */

import type { MetricsHistory } from "@nodeglass/client";
import { beforeAll, expect, test } from "vitest";
import { eventually } from "../../clients/typescript/test/server.ts";
import { System } from "./system.ts";

const system = new System();

beforeAll(async () => {
  await eventually("some history", async () => {
    const { data } = await system.api<MetricsHistory>(`/agents/${system.server.agent}/metrics/history?metrics=cpu.usage_percent&start=-1m`);
    return data.length > 2 ? data : undefined;
  });
});

test("a metric of devices has a line for each device that the API has", async () => {
  const metric = "network.bytes_recv_per_sec@*";
  const { data } = await system.api<MetricsHistory>(`/agents/${system.server.agent}/metrics/history?metrics=${metric}&start=-5m`);
  const wanted = [...new Set(data.flatMap((bucket) => Object.keys(bucket)))].filter((key) => key !== "timestamp");
  expect(wanted.length).toBeGreaterThan(0);
  const { page, context, complaints } = await system.open("/compare?range=5m");
  await page.getByLabel("Host", { exact: true }).fill(system.server.agent);
  await page.getByLabel("Metric").fill(metric);
  await page.getByRole("button", { name: "Add" }).click();
  const entries = page.getByRole("region", { name: "Lines in bit/s" }).locator(".ng-legend li span");
  await entries.first().waitFor();
  expect((await entries.allTextContents()).sort()).toEqual(wanted.map((key) => `${system.server.agent} ${key}`).sort());
  // The address brings them back, beside a line that was asked for by name.
  await page.goto(`${page.url()}~${system.server.agent}:memory.usage_percent`);
  await entries.first().waitFor();
  expect(await entries.count()).toBe(wanted.length);
  await page.getByRole("region", { name: "Lines in %" }).locator(".ng-legend li").first().waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test("a list of those who have most is of the span that is shown", async () => {
  const panels = [{ title: "Most memory", kind: "top", hosts: [], metrics: ["memory.usage_percent"], width: 1 }];
  await system.api("/dashboards/most", "PUT", { name: "Most", revision: 0, content: { panels } });
  const long = Date.UTC(2024, 0, 1);
  const { page, context } = await system.open("/boards/most?range=5m");
  const panel = page.getByRole("region", { name: "Most memory" });
  await panel.getByRole("link", { name: system.server.agent }).waitFor();
  expect(await panel.locator(".ng-note").textContent()).toContain("last 5\u202fmin");
  // Before there was a host, none had most.
  await page.goto(`${system.server.url}/boards/most?from=${long}&to=${long + 600_000}`);
  await panel.getByText("Nobody had any in this span").waitFor();
  expect(await panel.getByRole("link").count()).toBe(0);
  await context.close();
});

test("panels beside each other have plots of one height, whatever their legends are", async () => {
  const { page, context } = await system.open(`/hosts/${system.server.agent}?range=5m`, { width: 1500, height: 2600 });
  await page.locator("[data-panel=load][data-drawn] .ng-legend li").first().waitFor();
  const rows = await page.locator(".charts > .ng-panel").evaluateAll((panels) => {
    const byTop = new Map<number, number[]>();
    for (const panel of panels) {
      const plot = panel.querySelector("canvas");
      const top = Math.round(panel.getBoundingClientRect().top);
      if (plot) byTop.set(top, [...(byTop.get(top) ?? []), Math.round(plot.getBoundingClientRect().bottom)]);
    }
    return [...byTop.values()];
  });
  expect(rows.some((row) => row.length > 1)).toBe(true);
  for (const feet of rows) expect(Math.max(...feet) - Math.min(...feet), "their time axes stand on one line").toBeLessThanOrEqual(1);
  await context.close();
});
