/** Charts: what is to be read on them, their keys, and the moment that is kept. */

import type { Page } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { eventually } from "../../clients/typescript/test/server.ts";
import { System } from "./system.ts";

const system = new System();
const host = () => `/hosts/${system.server.agent}?range=5m`;

beforeAll(async () => {
  await eventually("some history", async () => {
    const { data } = await system.api<{ data: object[] }>(`/agents/${system.server.agent}/metrics/history?metrics=cpu.usage_percent&start=-1m`);
    return data.length > 2 ? data : undefined;
  });
});

/** How many pixels of a panel's canvas are of a variable's colour; in one colour scheme, as text has it. */
function pixels(page: Page, panel: string, variable: string): Promise<number> {
  return page.locator(`[data-panel=${panel}] canvas`).evaluate((element, variable) => {
    const canvas = element as HTMLCanvasElement;
    const data = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
    const wanted = getComputedStyle(canvas).getPropertyValue(variable).trim();
    let found = 0;
    for (let at = 0; at < data.length; at += 4)
      if (`#${[0, 1, 2].map((channel) => (data[at + channel] ?? 0).toString(16).padStart(2, "0")).join("")}` === wanted) found += 1;
    return found;
  }, variable);
}

test.each([1280, 900, 390])("every entry of every legend is to be read at %i pixels", async (width) => {
  const { page, context } = await system.open(host(), { width });
  await page.locator("[data-panel=cpu] .ng-legend li").nth(5).waitFor();
  const cut = await page.locator(".ng-legend").evaluateAll((legends) =>
    legends.flatMap((legend) => {
      const box = legend.getBoundingClientRect();
      const isOut = (part: Element) => {
        const { left, right, top, bottom } = part.getBoundingClientRect();
        return left < box.left - 1 || right > box.right + 1 || top < box.top - 1 || bottom > box.bottom + 1;
      };
      return [...legend.querySelectorAll("li, b")].filter(isOut).map((part) => part.textContent);
    }),
  );
  expect(cut).toEqual([]);
  await context.close();
});

test.each([
  ["cpu", ["0\u202f%", "88.8\u202f%", "100\u202f%", "–"]],
  ["memory", ["0\u202fB", "1023\u202fMiB", "88.8\u202fGiB", "–"]],
  ["network", ["0\u202fbit/s", "888\u202fMbit/s", "88.8\u202fMbit/s", "–"]],
  ["disk-throughput", ["0\u202fB/s", "1023\u202fMiB/s", "88.8\u202fKiB/s", "–"]],
  ["load", ["0.00", "88.88", "–"]],
] as const)("entries of the legend of %s stay where they are while figures change", async (panel, figures) => {
  const { page, context } = await system.open(host(), { width: 390 });
  // What nobody has scrolled to is not asked for.
  await page.locator(`[data-panel=${panel}]`).scrollIntoViewIfNeeded();
  const entries = page.locator(`[data-panel=${panel}] .ng-legend li`);
  await entries.nth(1).waitFor();
  const places = await entries.evaluateAll(
    (all, figures) =>
      figures.map((figure) => {
        for (const entry of all) if (entry.lastElementChild) entry.lastElementChild.textContent = figure;
        return all.map((entry) => Math.round(entry.getBoundingClientRect().left) + " " + Math.round(entry.getBoundingClientRect().top)).join(", ");
      }),
    figures,
  );
  expect(new Set(places).size, places.join("\n")).toBe(1);
  await context.close();
});

test("a chart is read, and a moment kept and let go, with the keyboard", async () => {
  const { page, context, complaints } = await system.open(host());
  const plot = page.locator("[data-panel=memory] .ng-plot");
  await page.locator("[data-panel=memory][data-drawn]").waitFor();
  await page.locator("[data-panel=memory] .ng-legend li").first().waitFor();
  await plot.focus();
  const said = async () => (await plot.getAttribute("aria-valuetext")) ?? "";
  await page.keyboard.press("ArrowLeft");
  expect(await said()).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d: used [\d.]+/);
  const newest = await said();
  await page.keyboard.press("ArrowLeft");
  expect((await said()) < newest).toBe(true);
  // The cursor of the other charts goes along, and the time bar says when it is.
  const when = (await page.locator(".cursor-time").textContent()) ?? "";
  expect(await said()).toContain(when);
  expect(await page.locator("[data-panel=cpu] .u-cursor-x").evaluate((line) => new DOMMatrix(getComputedStyle(line).transform).m41)).toBeGreaterThan(0);
  expect(new URL(page.url()).searchParams.get("from"), "the span stayed").toBeNull();

  await page.keyboard.press("Enter");
  await page.waitForURL(/at=\d+/);
  await page.getByText("Kept at this moment").waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !location.search.includes("at="));
  expect(await said()).toBe("now");
  expect(complaints).toEqual([]);
  await context.close();
});

test("a moment that is kept is marked on the charts, and the address shows a colleague the same span", async () => {
  const { page, context } = await system.open(host());
  await page.locator("[data-panel=memory][data-drawn]").waitFor();
  await page.locator("[data-panel=memory] .ng-legend li").first().waitFor();
  // Cursor and focus are drawn beside the canvas.
  expect(await pixels(page, "memory", "--ng-pin")).toBe(0);
  const box = await page.locator("[data-panel=memory] .u-over").boundingBox();
  if (!box) throw new Error("the chart has no place");
  await page.mouse.click(box.x + box.width * 0.4, box.y + 50);
  await page.waitForURL(/at=\d+&from=\d+&to=\d+/);
  await eventually("the mark in all charts", async () => {
    const marked = await Promise.all(["memory", "cpu"].map((panel) => pixels(page, panel, "--ng-pin")));
    return marked.every((count) => count > box.height) ? true : undefined;
  });
  const colleague = await system.open(new URL(page.url()).pathname + new URL(page.url()).search);
  await colleague.page.locator("[data-panel=memory][data-drawn]").waitFor();
  const shown = page.locator(".shown-span");
  expect(await colleague.page.locator(".shown-span").textContent()).toBe(await shown.textContent());
  await colleague.context.close();
  // One step back leads to where it was live.
  await page.goBack();
  await page.waitForFunction(() => !location.search.includes("at="));
  expect(await page.getByRole("button", { name: "Live" }).getAttribute("aria-pressed")).toBe("true");
  await context.close();
});

test("after a zoom on Compare, L leads back to the range before", async () => {
  const { page, context } = await system.open(`/compare?range=5m&lines=${system.server.agent}:cpu.usage_percent`);
  await page.locator(".ng-legend li").first().waitFor();
  const box = await page.locator(".u-over").boundingBox();
  if (!box) throw new Error("the chart has no place");
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  await page.mouse.move(5, 5);
  await page.keyboard.press("Shift+L");
  await page.waitForFunction(() => !location.search.includes("from="));
  expect(new URL(page.url()).searchParams.get("range")).toBe("5m");
  await context.close();
});
