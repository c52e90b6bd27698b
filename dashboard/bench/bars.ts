/**
 * What the page costs, beside its bars: `npm run bench -w @nodeglass/dashboard`, on a machine that does nothing else. It wants
 * the programs of `cargo build --workspace --bins` (`NODEGLASS_PROFILE=release` for those), and a trace of a host, as
 * `cargo xtask bench fleet` does (`NODEGLASS_TRACE`).
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Browser, CDPSession, Page } from "playwright-core";
import { afterAll, beforeAll, test } from "vitest";
import { TestServer, eventually, program } from "../../clients/typescript/test/server.ts";
import { open, startBrowser } from "../test/browser.ts";

const TRACE = process.env.NODEGLASS_TRACE ?? "";
const HOSTS = Number(process.env.NODEGLASS_HOSTS ?? 1_000);
const HEAP_MINUTES = Number(process.env.NODEGLASS_HEAP_MINUTES ?? 10);
const MEASURED_MS = 30_000;
const TIMES = 7;

let server: TestServer;
let browser: Browser;
const started: ChildProcess[] = [];

function say(what: string, figure: string, bar: string): void {
  console.log(`${what.padEnd(58)} ${figure.padStart(16)}   bar ${bar}`);
}

function median(values: number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

beforeAll(async () => {
  server = await TestServer.start(async (database) => {
    if (existsSync(TRACE))
      execFileSync(program("nodeglass-queries"), ["fill", "--database", database, "--trace", TRACE, "--agents", "1", "--hours", "26"], { stdio: "ignore" });
  });
  browser = await startBrowser();
});

afterAll(async () => {
  for (const process of started) process.kill();
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

test("first load", async () => {
  const dist = fileURLToPath(new URL("../dist/", import.meta.url));
  const html = readFileSync(`${dist}index.html`, "utf8");
  const assets = [...html.matchAll(/\/assets\/[^"]+/g)].map(([path]) => path.slice(1));
  assets.push(...readdirSync(`${dist}assets`).filter((name) => name.endsWith(".woff2")).map((name) => `assets/${name}`));
  const bytes = assets.reduce((sum, path) => {
    const file = readFileSync(dist + path);
    return sum + (path.endsWith(".woff2") ? file.length : gzipSync(file, { level: 9 }).length);
  }, gzipSync(html).length);
  say("first load, compressed", `${(bytes / 1024).toFixed(1)} KiB`, "250 KiB");

  const paints: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    const { page, context } = await open(browser, server.url);
    await page.locator("[role=row] a").first().waitFor();
    paints.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN));
    await context.close();
  }
  say(`first contentful paint, cold, median of ${TIMES}`, `${median(paints).toFixed(0)} ms`, "500 ms");
});

test("a range of 24 hours, from the key to the paint", async () => {
  const host = existsSync(TRACE) ? "hist-0" : server.agent;
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
  say(`24 h range change, every chart on the screen, median of ${TIMES}`, `${median(times).toFixed(0)} ms`, "300 ms");
});

test("the cursor over all charts of a host", async () => {
  const host = existsSync(TRACE) ? "hist-0" : server.agent;
  const { page, context } = await open(browser, `${server.url}/hosts/${host}?range=24h`, { width: 2560, height: 1440 });
  await page.locator("[data-panel=cpu][data-drawn='last 86400000']").waitFor();
  await page.evaluate(async () => {
    for (let y = 0; y < document.body.scrollHeight; y += 400) {
      scrollTo(0, y);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    scrollTo(0, 0);
  });
  const charts = await page.locator(".u-over").count();
  const box = await page.locator("[data-panel=cpu] .u-over").boundingBox();
  if (!box) throw new Error("the chart has no place");
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
  for (let step = 0; step < 400; step++) await page.mouse.move(box.x + ((step * 7) % box.width), box.y + 60);
  const frames = await page.evaluate(() => (globalThis as unknown as { frames: number[] }).frames.slice(2));
  say(`cursor moved over one of ${charts} charts, median frame`, `${median(frames).toFixed(1)} ms`, "16.7 ms, 20 charts");
  await context.close();
});

test(`${HOSTS} hosts, each second`, async () => {
  if (!existsSync(TRACE)) return say(`${HOSTS} hosts`, "not measured", "NODEGLASS_TRACE names no trace");
  const fleet = spawn(
    program("nodeglass-fleet"),
    ["--server", server.url, "--database", server.database, "--trace", TRACE, "--agents", String(HOSTS), "--interval", "1", "--seconds", "600"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  started.push(fleet);
  for await (const line of createInterface({ input: fleet.stdout })) if (line.includes("measuring")) break;
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
  const before = await busySeconds(cdp);
  await page.waitForTimeout(MEASURED_MS);
  const busy = ((await busySeconds(cdp)) - before) / (MEASURED_MS / 1000);
  const long = await page.evaluate(() => (globalThis as unknown as { long: number[] }).long);
  say(`${HOSTS} hosts each second: main thread busy`, `${(busy * 100).toFixed(1)} %`, "30 % of a core");
  say(`${HOSTS} hosts each second: tasks over 50 ms in ${MEASURED_MS / 1000} s`, `${long.length}, most ${Math.max(0, ...long).toFixed(0)} ms`, "0");
  await context.close();
  const ended = once(fleet, "exit");
  fleet.kill();
  await ended;
});

test("a host's page left open", async () => {
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
  const [first = 0, last = 0] = [sizes[0], sizes.at(-1)];
  say(`heap of a live host page, over ${HEAP_MINUTES} minutes`, `${first.toFixed(1)} → ${last.toFixed(1)} MiB`, "flat");
  await context.close();
}, 3_600_000);
