/** Charts by hand, on a phone: one finger reads, one that rests first chooses, two stretch the time; up and down the page scrolls. */

import type { CDPSession, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../../clients/typescript/test/server.ts";
import { HostTree } from "./host_tree.ts";
import { RemoteAgent } from "./relay.ts";
import { System } from "./system.ts";

const HOST = "big-01";
const system = new System();
const tree = new HostTree();
const agent = new RemoteAgent();

beforeAll(async () => {
  const { enrolment } = await system.api<{ enrolment: string }>("/agents", "POST", { name: HOST });
  await agent.start(enrolment, `server: ${system.server.url}\nhost_root: ${tree.root}\nmetrics: {collection_interval: 1s}\n`);
  await eventually("some history", async () => {
    const { data } = await system.api<{ data: object[] }>(`/agents/${HOST}/metrics/history?metrics=cpu.core_usage@15&start=-1m`);
    return data.length > 3 ? data : undefined;
  });
});

afterAll(() => {
  agent.end();
  tree.end();
});

interface Point {
  x: number;
  y: number;
}

/** Fingers on the glass. */
class Hand {
  private constructor(private readonly cdp: CDPSession) {}

  static async of(page: Page): Promise<Hand> {
    return new Hand(await page.context().newCDPSession(page));
  }

  async put(...fingers: Point[]): Promise<void> {
    await this.say("touchStart", fingers);
  }

  /** Moves from where fingers are to where they are to be, in steps as a hand does. */
  async move(from: Point[], to: Point[]): Promise<void> {
    const steps = 6;
    for (let step = 1; step <= steps; step++) {
      const between = (one: number, other: number) => one + ((other - one) * step) / steps;
      await this.say("touchMove", from.map((at, finger) => ({ x: between(at.x, to[finger]?.x ?? at.x), y: between(at.y, to[finger]?.y ?? at.y) })));
    }
  }

  async lift(): Promise<void> {
    await this.say("touchEnd", []);
  }

  private async say(type: "touchStart" | "touchMove" | "touchEnd", fingers: Point[]): Promise<void> {
    await this.cdp.send("Input.dispatchTouchEvent", { type, touchPoints: fingers.map((at, id) => ({ ...at, id })) });
  }
}

/** The place of a chart's plot on a phone that shows a fixed span of five minutes. */
async function plotOf(panel: string) {
  const to = Date.now();
  const { page, context, complaints } = await system.open(`/hosts/${HOST}?from=${to - 300_000}&to=${to}`, { width: 390, height: 844, hasTouch: true });
  await page.locator(`[data-panel=${panel}]`).scrollIntoViewIfNeeded();
  await page.locator(`[data-panel=${panel}][data-drawn]`).waitFor();
  const plot = page.locator(panel === "cores" ? "[data-panel=cores] canvas" : `[data-panel=${panel}] .u-over`);
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  if (!box) throw new Error("the chart has no place");
  const axis = panel === "cores" ? { left: 58, right: 6 } : { left: 0, right: 0 };
  const room = box.width - axis.left - axis.right;
  const at = (share: number): Point => ({ x: box.x + axis.left + room * share, y: box.y + box.height / 3 });
  const shown = () => {
    const query = new URL(page.url()).searchParams;
    return [Number(query.get("from")) - (to - 300_000), Number(query.get("to")) - (to - 300_000)].map((ms) => ms / 300_000);
  };
  const changes = async (from: number, until: number) =>
    eventually(`the span from ${from} to ${until} of the one before`, async () => {
      const [start = 0, end = 0] = shown();
      return Math.abs(start - from) < 0.03 && Math.abs(end - until) < 0.03 ? true : undefined;
    });
  return { page, context, complaints, at, shown, changes, hand: await Hand.of(page) };
}

test.each(["memory", "cores"])("a finger that rests chooses a span of %s", async (panel) => {
  const { page, context, complaints, at, changes, hand } = await plotOf(panel);
  await hand.put(at(0.3));
  // It rests until the chart shows that it chooses.
  const choice = page.locator(panel === "cores" ? "[data-panel=cores] .ng-select" : `[data-panel=${panel}] .u-select`);
  await eventually("the choice to begin", () =>
    choice.evaluate((one) => (one.getBoundingClientRect().height > 0 && getComputedStyle(one).visibility === "visible" ? true : undefined)),
  );
  await hand.move([at(0.3)], [at(0.7)]);
  expect(await choice.evaluate((one) => one.getBoundingClientRect().width)).toBeGreaterThan(20);
  await hand.lift();
  await changes(0.3, 0.7);
  expect(new URL(page.url()).searchParams.get("at"), "nothing was kept").toBeNull();
  expect(complaints).toEqual([]);
  await context.close();
});

test.each(["memory", "cores"])("two fingers stretch the time of %s", async (panel) => {
  const { context, at, changes, hand } = await plotOf(panel);
  await hand.put(at(0.4), at(0.6));
  await hand.move([at(0.4), at(0.6)], [at(0.2), at(0.8)]);
  await hand.lift();
  // What was a fifth is three fifths: a third of the time is left, around the middle.
  await changes(1 / 3, 2 / 3);
  await context.close();
});

test("a finger that moves along reads, and changes nothing", async () => {
  const { page, context, at, shown, hand } = await plotOf("memory");
  const before = shown();
  await hand.put(at(0.9));
  await hand.move([at(0.9)], [at(0.98)]);
  await eventually("the moment under the finger", async () => ((await page.locator(".cursor-time").textContent()) ? true : undefined));
  await hand.lift();
  await eventually("no moment", async () => ((await page.locator(".cursor-time").textContent()) === "" ? true : undefined));
  expect(shown()).toEqual(before);
  await context.close();
});
