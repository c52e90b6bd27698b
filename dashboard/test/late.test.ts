/** What came late after an outage is on the charts, and marked. */

import type { AgentEvents, MetricsHistory } from "@nodeglass/client";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../../clients/typescript/test/server.ts";
import { Relay, RemoteAgent } from "./relay.ts";
import { System } from "./system.ts";

const HOST = "far-01";
const system = new System();
const agent = new RemoteAgent();
let relay: Relay;
/** How long the agent is away: some samples of one a second. */
const AWAY_MS = 6_000;

beforeAll(async () => {
  relay = new Relay(system.server.url);
  await relay.mend();
  const { enrolment } = await system.api<{ enrolment: string }>("/agents", "POST", { name: HOST });
  await agent.start(enrolment, `server: ${relay.url}\nmetrics: {collection_interval: 1s}\n`);
});

afterAll(() => {
  agent.end();
  relay?.cut();
});

async function event(kind: string, after: number): Promise<number> {
  return eventually(`${kind} after ${after}`, async () => {
    const { events } = await system.api<AgentEvents>(`/agents/${HOST}/events?kind=${kind}`);
    return events.find(({ timestamp }) => timestamp >= after)?.timestamp;
  });
}

/** Whether the chart has a mark in its own colour at its foot, between two moments of the last five minutes. */
function isMarked(page: Page, from: number, to: number): Promise<boolean> {
  return page.locator("[data-panel=memory] canvas").evaluate(
    (element, [from, to]) => {
      const canvas = element as HTMLCanvasElement;
      const context = canvas.getContext("2d");
      const over = canvas.parentElement?.querySelector<HTMLElement>(".u-over");
      if (!context || !over) return false;
      const wanted = getComputedStyle(canvas).getPropertyValue("--ng-late").trim();
      const ratio = canvas.width / canvas.clientWidth;
      const y = Math.round((over.offsetTop + over.offsetHeight - 2) * ratio);
      const [left, width] = [over.offsetLeft * ratio, over.offsetWidth * ratio];
      const x = (at: number) => Math.round(left + (1 - (Date.now() - at) / 300_000) * width);
      const row = context.getImageData(0, y, canvas.width, 1).data;
      const marked: number[] = [];
      for (let at = 0; at < canvas.width; at++) {
        const hex = `#${[0, 1, 2].map((channel) => (row[at * 4 + channel] ?? 0).toString(16).padStart(2, "0")).join("")}`;
        if (hex === wanted) marked.push(at);
      }
      // The points move on while they are read: two pixels are two thirds of a second.
      return marked.length >= 3 && marked.every((at) => at >= x(from) - 3 && at <= x(to) + 3);
    },
    [from, to] as const,
  );
}

test("an open page shows what was sampled during an outage once it is there, and marks it", async () => {
  const { page, context, complaints } = await system.open(`/hosts/${HOST}?range=5m`);
  const panel = page.locator("[data-panel=memory]");
  await panel.locator(".ng-legend li").first().waitFor();
  const began = Date.now();
  relay.cut();
  const lost = await event("lost", began);
  await eventually("some samples taken alone", async () => (Date.now() > lost + AWAY_MS ? true : undefined));
  // Nothing came late yet, and nothing is marked.
  expect(await page.getByText("part came late").count()).toBe(0);
  // A server that is younger than two minutes does not note who comes back, unless the agent was started anew as well.
  await relay.mend();
  await agent.restart();
  const back = await event("connected", lost);
  const late = await eventually("what was sampled meanwhile", async () => {
    const history = await system.api<MetricsHistory>(`/agents/${HOST}/metrics/history?metrics=memory.usage_percent&start=${lost + 1_000}&end=${back}`);
    return history.data.length >= 3 ? history.data : undefined;
  });
  await panel.getByText("part came late").waitFor();
  expect(await panel.getByText("part came late").getAttribute("title")).toContain("sent this when it was back");
  await eventually("the mark, and nothing marked beside it", async () => ((await isMarked(page, lost, back)) ? true : undefined));
  // The figures of then are those of the API.
  const then = late[1] ?? late[0];
  await page.goto(`${system.server.url}/hosts/${HOST}?from=${(then?.timestamp ?? 0) * 1000 - 20_000}&to=${(then?.timestamp ?? 0) * 1000 + 20_000}`);
  await panel.getByText("part came late").waitFor();
  // So does a chart of chosen lines, beside a host that was there all the time.
  const [from, to] = [lost - 30_000, back + 30_000];
  await page.goto(`${system.server.url}/compare?from=${from}&to=${to}&lines=${HOST}:memory.usage_percent~${system.server.agent}:memory.usage_percent`);
  const note = page.locator(".fleet-chart .ng-late");
  await note.waitFor();
  expect(await note.getAttribute("title")).toMatch(new RegExp(`^${HOST}: [^\\n]*$`));
  expect(complaints).toEqual([]);
  await context.close();
});

test("a host that had no outage has no mark", async () => {
  const { page, context } = await system.open(`/hosts/${system.server.agent}?range=5m`);
  await page.locator("[data-panel=memory][data-drawn]").waitFor();
  await page.locator("[data-panel=memory] .ng-legend li").first().waitFor();
  expect(await page.getByText("part came late").count()).toBe(0);
  await context.close();
});
