/**
 * Pictures of each page, in light and dark and as a phone has it: `npm run screenshots -w @nodeglass/dashboard`. They show
 * the host that they are taken on, some minutes into a load; `NODEGLASS_SETTLE_SECONDS` says how long to wait before.
 */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, test } from "vitest";
import { TestServer } from "../../clients/typescript/test/server.ts";
import { type Look, open, startBrowser } from "./browser.ts";

const OUT = fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));
const SETTLE_MS = Number(process.env.NODEGLASS_SETTLE_SECONDS ?? 60) * 1000;
/** What a page needs until it stands still. */
const DRAWN_MS = 2_500;

let server: TestServer | undefined;
let browser: Browser;
let url: string;
let agent: string;

beforeAll(async () => {
  mkdirSync(OUT, { recursive: true });
  browser = await startBrowser();
  // A server that is there already may be looked at, for pictures of a fleet.
  if (process.env.NODEGLASS_URL) {
    url = process.env.NODEGLASS_URL;
    agent = process.env.NODEGLASS_AGENT ?? "";
    return;
  }
  server = await TestServer.start();
  url = server.url;
  agent = server.agent;
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
});

afterAll(async () => {
  await browser?.close();
  await server?.end();
});

test("every page is drawn", async () => {
  const host = `/hosts/${encodeURIComponent(agent)}?range=5m`;
  const pages: [string, string][] = [
    ["fleet", "/"],
    ["tiles", "/?view=tiles"],
    ["host", host],
    ["compare", `/compare?range=5m&lines=${agent}:cpu.usage_percent~${agent}:pressure.cpu_some_percent~${agent}:network.bytes_recv_per_sec`],
    ["server", "/server"],
    ["sign-in", "/"],
  ];
  const looks: [string, Look][] = [
    ["dark", { theme: "dark", width: 1440, height: 900 }],
    ["light", { theme: "light", width: 1440, height: 900 }],
    ["phone", { theme: "dark", width: 390, height: 844 }],
  ];
  const token = process.env.NODEGLASS_TOKEN;
  for (const [name, path] of pages)
    for (const [suffix, look] of looks) {
      const signedIn = name === "sign-in" ? { token: undefined } : token ? { token } : {};
      const { page, context } = await open(browser, url + path, { ...look, ...signedIn });
      await page.locator("h1").first().waitFor();
      await page.waitForTimeout(DRAWN_MS);
      if (name === "host" && suffix !== "phone") {
        // The cursor over a chart: the process table shows who it was.
        const box = await page.locator("[data-panel=cpu] .u-over").boundingBox();
        if (box) await page.mouse.move(box.x + box.width * 0.86, box.y + 60);
        await page.waitForTimeout(700);
      }
      await page.screenshot({ path: `${OUT}${name}-${suffix}.png` });
      await context.close();
    }
});
