/**
 * What the page costs, beside its bars: `npm run bench -w @nodeglass/dashboard`, on a machine that does nothing else. It wants
 * the programs of `cargo build --workspace --bins`, `--release` with `NODEGLASS_PROFILE=release`, and a recording of a host, as
 * `cargo xtask bench fleet` does (`NODEGLASS_TRACE`). `-- -t heap` and the like measure one.
 */

import type { ChildProcess } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Browser, CDPSession, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, test } from "vitest";
import { METRICS, NodeglassClient } from "../../clients/typescript/src/index.ts";
import { TOKEN, TestServer, eventually } from "../../clients/typescript/test/server.ts";
import { open, startBrowser } from "../test/browser.ts";
import { end, fill, hasTrace, play } from "../test/fleet.ts";

const HOSTS = Number(process.env.NODEGLASS_HOSTS ?? 1_000);
const HEAP_MINUTES = Number(process.env.NODEGLASS_HEAP_MINUTES ?? 10);
const CHARTS = 20;
const MEASURED_MS = 30_000;
const TIMES = 7;
const SCROLLS = 400;

let server: TestServer;
let browser: Browser;
let client: NodeglassClient;
const started: ChildProcess[] = [];

/** Prints a figure, and whether it is within its bar. */
function say(what: string, figure: number, unit: string, bar?: number): void {
  const within = bar === undefined ? "" : `bar ${bar} ${unit}: ${figure <= bar ? "met" : "NOT MET"}`;
  console.log(`${what.padEnd(70)} ${`${figure.toFixed(1)} ${unit}`.padStart(12)}   ${within}`);
}

function unmeasured(what: string): void {
  console.log(`${what.padEnd(70)} not measured: NODEGLASS_TRACE names no recording`);
}

function median(values: number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

beforeAll(async () => {
  server = await TestServer.start(async (database) => {
    if (hasTrace) fill(database, 26);
  });
  client = new NodeglassClient({ baseUrl: `${server.url}/api/v1`, token: TOKEN });
  browser = await startBrowser();
});

// What others do on the machine is in every figure but those of the thread's own time.
beforeEach(({ task }) => console.log(`${task.name}: ${cpus().length} cores, load average ${loadavg()[0]?.toFixed(1)}, ${process.env.NODEGLASS_PROFILE ?? "debug"} build`));

afterAll(async () => {
  for (const fleet of started) await end(fleet);
  await browser?.close();
  await server?.end();
});

/** How long the page's main thread worked, in seconds of its own time. */
async function busySeconds(cdp: CDPSession): Promise<number> {
  const { metrics } = (await cdp.send("Performance.getMetrics")) as { metrics: { name: string; value: number }[] };
  return metrics.find((metric) => metric.name === "TaskDuration")?.value ?? Number.NaN;
}

async function watched(page: Page): Promise<CDPSession> {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
  return cdp;
}

/** A task as Chromium traces it, in microseconds: by the clock, and of its thread's own time. */
interface Traced {
  name: string;
  pid: number;
  tid: number;
  dur?: number;
  tdur?: number;
  args?: { name?: string };
}

/** The longest task of a page's main thread out of a trace, in milliseconds of its own time: without what it waited for a core. */
function longestOfItsOwn(trace: Buffer): number {
  const { traceEvents: events } = JSON.parse(trace.toString()) as { traceEvents: Traced[] };
  const main = events.find(({ name, args }) => name === "thread_name" && args?.name === "CrRendererMain");
  const tasks = events.filter(({ name, pid, tid }) => pid === main?.pid && tid === main.tid && name.endsWith("RunTask"));
  return Math.max(...tasks.map(({ tdur }) => tdur ?? Number.NaN)) / 1000;
}

test("first load", async () => {
  const dist = fileURLToPath(new URL("../dist/", import.meta.url));
  const html = readFileSync(`${dist}index.html`, "utf8");
  const assets = [...html.matchAll(/\/assets\/[^"]+/g)].map(([path]) => path.slice(1));
  assets.push(...readdirSync(`${dist}assets`).filter((name) => name.endsWith(".woff2")).map((name) => `assets/${name}`));
  const bytes = assets.reduce((sum, path) => {
    const file = readFileSync(dist + path);
    return sum + (path.endsWith(".woff2") ? file.length : gzipSync(file, { level: 9 }).length);
  }, gzipSync(html).length);
  say("first load, compressed", bytes / 1024, "KiB", 250);

  const paints: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    const { page, context } = await open(browser, server.url);
    await page.locator("[role=row] a").first().waitFor();
    paints.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN));
    await context.close();
  }
  say(`first contentful paint, cold, median of ${TIMES}`, median(paints), "ms", 500);
});

test("a range of 24 hours, from the key to the paint", async () => {
  const host = hasTrace ? "hist-0" : server.agent;
  const times: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    const { page, context } = await open(browser, `${server.url}/hosts/${host}?range=1h`);
    await page.locator("[data-panel=cpu][data-drawn='last 3600000']").waitFor();
    times.push(
      await page.evaluate(
        () =>
          new Promise<number>((resolve) => {
            const began = performance.now();
            document.querySelector<HTMLButtonElement>(".ranges button[title^='The last 24h']")?.click();
            const look = () => {
              const seen = [...document.querySelectorAll<HTMLElement>("[data-panel]")].filter((panel) => {
                const { top, bottom } = panel.getBoundingClientRect();
                return bottom > 0 && top < innerHeight;
              });
              if (seen.every((panel) => panel.dataset.drawn === "last 86400000")) resolve(performance.now() - began);
              else requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
          }),
      ),
    );
    await context.close();
  }
  say(`24 h range change, every chart on the screen, median of ${TIMES}`, median(times), "ms", 300);
});

/** Some metrics that a host has at a moment. */
async function seriesOf(agent: string, at: number): Promise<string[]> {
  const paths = METRICS.filter(({ device }) => !device).map(({ path }) => path);
  const found: string[] = [];
  for (let from = 0; from < paths.length && found.length < CHARTS; from += CHARTS) {
    const { data } = await client.getHistoricalMetrics(agent, { metrics: paths.slice(from, from + CHARTS), start: at - 60_000, end: at });
    found.push(...Object.keys(data[0] ?? {}).filter((key) => key !== "timestamp"));
  }
  return found;
}

/** Begins to time a page's frames. */
async function countFrames(page: Page): Promise<void> {
  await page.evaluate(() => {
    const frames: number[] = [];
    (globalThis as unknown as { frames: number[] }).frames = frames;
    let last = performance.now();
    const count = (now: number) => {
      frames.push(now - last);
      last = now;
      requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
  });
}

/** How long each of them took, in milliseconds. */
async function framesOf(page: Page): Promise<number[]> {
  return (await page.evaluate(() => (globalThis as unknown as { frames: number[] }).frames)).slice(2);
}

test("the cursor over 20 charts of 1,000 points", async () => {
  if (!hasTrace) return unmeasured("cursor over 20 charts");
  // A dashboard of 20 charts, over a span whose buckets of ten seconds are 1,000.
  const to = Math.floor(Date.now() / 10_000) * 10_000 - 3_600_000;
  const panels = (await seriesOf("hist-0", to)).slice(0, CHARTS).map((metric) => ({ title: metric, kind: "chart", hosts: ["hist-0"], metrics: [metric], width: 1 }));
  await client.call("PUT", "/dashboards/bench", { name: "Bench", revision: 0, content: { panels } });
  const { page, context } = await open(browser, `${server.url}/boards`, { width: 2560, height: 1440 });
  const points: number[] = [];
  page.on("response", async (response) => {
    if (!response.url().includes("/metrics/history")) return;
    const { agents } = (await response.json()) as { agents: { data: object[] }[] };
    points.push(agents[0]?.data.length ?? 0);
  });
  await page.goto(`${server.url}/boards/bench?from=${to - 10_000_000}&to=${to}`);
  await eventually("all charts", async () => (points.length >= panels.length ? true : undefined));
  await page.locator(".ng-legend li").nth(panels.length - 1).waitFor();
  const box = await page.locator(".u-over").first().boundingBox();
  if (!box) throw new Error("the chart has no place");
  const cdp = await watched(page);
  const move = async (steps: number) => {
    for (let step = 0; step < steps; step++) await page.mouse.move(box.x + ((step * 7) % box.width), box.y + 60);
  };
  await move(50);
  await countFrames(page);
  const before = await busySeconds(cdp);
  await move(400);
  const busy = (await busySeconds(cdp)) - before;
  const frames = await framesOf(page);
  const few = Math.min(...points);
  say(`cursor over ${panels.length} charts of ${few} points or more, median frame`, median(frames), "ms", 16.7);
  say("the same: main thread per frame", (busy * 1000) / frames.length, "ms");
  await context.close();
});

test(`${HOSTS} hosts, each second`, async () => {
  if (!hasTrace) return unmeasured(`${HOSTS} hosts`);
  const fleet = await play(server, HOSTS);
  started.push(fleet);
  const { page, context } = await open(browser, server.url);
  await eventually("all hosts", async () => {
    const text = await page.locator(".counts b").first().textContent();
    return Number(text) > HOSTS ? text : undefined;
  });
  await page.evaluate(() => {
    const tasks: number[] = [];
    (globalThis as unknown as { long: number[] }).long = tasks;
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ entryTypes: ["longtask"] });
  });
  const cdp = await watched(page);
  // A server that does not keep up sends less than all hosts each second: what came is said beside what it cost.
  let received = 0;
  cdp.on("Network.dataReceived", ({ dataLength }: { dataLength: number }) => {
    received += dataLength;
  });
  await cdp.send("Network.enable");
  await browser.startTracing(page, { categories: ["toplevel", "__metadata"] });
  const before = await busySeconds(cdp);
  await page.waitForTimeout(MEASURED_MS);
  const busy = ((await busySeconds(cdp)) - before) / (MEASURED_MS / 1000);
  const own = longestOfItsOwn(await browser.stopTracing());
  const long = await page.evaluate(() => (globalThis as unknown as { long: number[] }).long);
  say(`${HOSTS} hosts each second: main thread busy`, busy * 100, "%", 30);
  say("the same: received", received / 1024 / (MEASURED_MS / 1000), "KiB/s");
  say(`${HOSTS} hosts each second: longest task in ${MEASURED_MS / 1000} s, its own time`, own, "ms", 50);
  say(`the same by the clock, of ${long.length} over 50 ms`, Math.max(0, ...long), "ms");

  // Down the list and up again with the wheel, two or three rows at a time, while it is updated.
  await page.locator("[role=row] a").first().hover();
  await countFrames(page);
  const still = await busySeconds(cdp);
  for (let turn = 0; turn < SCROLLS; turn++) await page.mouse.wheel(0, turn < SCROLLS / 2 ? 120 : -120);
  const scrolling = (await busySeconds(cdp)) - still;
  const frames = await framesOf(page);
  say(`${HOSTS} hosts, scrolled: median of ${frames.length} frames`, median(frames), "ms");
  say("the same: main thread per frame", (scrolling * 1000) / frames.length, "ms");
  await context.close();
  await end(fleet);
});

test("a live host's page", async () => {
  const { page, context } = await open(browser, `${server.url}/hosts/${server.agent}?range=5m`);
  await page.locator("[data-panel=cpu][data-drawn]").waitFor();
  const cdp = await watched(page);
  const before = await busySeconds(cdp);
  await page.waitForTimeout(MEASURED_MS);
  say("live host page, a sample each second: main thread busy", ((await busySeconds(cdp)) - before) / (MEASURED_MS / 100_000), "%");
  await context.close();
});

test("heap of a host's page left open", async () => {
  const { page, context } = await open(browser, `${server.url}/hosts/${server.agent}?range=5m`);
  await page.locator("[data-panel=cpu][data-drawn]").waitFor();
  const cdp = await watched(page);
  const heap = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    const { usedSize } = (await cdp.send("Runtime.getHeapUsage")) as { usedSize: number };
    return usedSize / 1024 ** 2;
  };
  // The first minutes fill what is bounded: five minutes of points.
  await page.waitForTimeout(Math.min(5, HEAP_MINUTES) * 60_000);
  const sizes = [await heap()];
  for (let minute = 0; minute < HEAP_MINUTES; minute++) {
    await page.waitForTimeout(60_000);
    sizes.push(await heap());
  }
  console.log(`heap of a live host page each minute, MiB: ${sizes.map((size) => size.toFixed(1)).join(" ")}; bar: flat`);
  await context.close();
}, (HEAP_MINUTES + 10) * 60_000);
