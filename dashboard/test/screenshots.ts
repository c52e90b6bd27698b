/**
 * Pictures of each page, in light and dark and as a phone has it: `npm run screenshots -w @nodeglass/dashboard`. They show
 * the host that they are taken on and, where there is a recording, a fleet that is played after it. `NODEGLASS_SETTLE_SECONDS` says
 * how long to wait before, `NODEGLASS_PAGES` which pages.
 */

import type { ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, test } from "vitest";
import { TOKEN, TestServer } from "../../clients/typescript/test/server.ts";
import { type Look, open, startBrowser } from "./browser.ts";
import { end, hasTrace, play } from "./fleet.ts";

const OUT = process.env.NODEGLASS_SCREENSHOTS ?? fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));
/** Only these, by name; without it all. */
const ONLY = process.env.NODEGLASS_PAGES?.split(",");
const SETTLE_MS = Number(process.env.NODEGLASS_SETTLE_SECONDS ?? 60) * 1000;
/** What a page needs until it stands still. */
const DRAWN_MS = 2_500;

/** Hosts beside the real one, where there is a recording to play. */
const HOSTS = 36;
const ADA = { user: "ada", password: "a passphrase for pictures" };
const BOARD = {
  name: "Web tier",
  revision: 0,
  content: {
    panels: [
      { title: "Processors", kind: "chart", hosts: [], metrics: ["cpu.usage_percent"], width: 2 },
      { title: "Most memory", kind: "top", hosts: [], metrics: ["memory.usage_percent"], width: 1 },
      { title: "Network", kind: "chart", hosts: [], metrics: ["network.bytes_recv_per_sec"], width: 1 },
    ],
  },
};

let server: TestServer;
let browser: Browser;
let fleet: ChildProcess | undefined;

async function call(method: string, path: string, body: object): Promise<void> {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const answer = await fetch(`${server.url}/api/v1${path}`, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
}

beforeAll(async () => {
  mkdirSync(OUT, { recursive: true });
  browser = await startBrowser();
  server = await TestServer.start();
  await call("PUT", "/dashboards/web-tier", BOARD);
  await call("POST", "/users", { name: ADA.user, password: ADA.password, role: "operator" });
  await call("POST", "/users", { name: "grace", password: ADA.password, role: "viewer", agents: ["web-*"] });
  await call("POST", "/tokens", { name: "grafana", role: "viewer" });
  await call("POST", "/tokens", { name: "deploy", role: "operator", agents: ["web-*"], expires_in_seconds: 7_776_000 });
  await call("PATCH", `/agents/${server.agent}/labels`, { env: "prod", rack: "7" });
  await call("PATCH", `/agents/${server.agent}/settings`, { top_processes: 15, exclude_metrics: ["nfs"] });
  if (hasTrace) fleet = await play(server, HOSTS);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
});

afterAll(async () => {
  if (fleet) await end(fleet);
  await browser?.close();
  await server?.end();
});

test("every page is drawn", async () => {
  const { agent, url } = server;
  // First those that the signing in for others fills.
  const pages: [string, string][] = [
    ["audit", "/manage/audit"],
    ["sessions", "/manage/sessions"],
    ["fleet", "/"],
    ["tiles", "/?view=tiles"],
    ["host", `/hosts/${encodeURIComponent(agent)}?range=5m`],
    ["compare", `/compare?range=5m&lines=${agent}:cpu.usage_percent~${agent}:pressure.cpu_some_percent~${agent}:network.bytes_recv_per_sec`],
    ["boards", "/boards"],
    ["board", "/boards/web-tier?range=5m"],
    ["manage", "/manage"],
    ["settings", `/manage/settings?host=${encodeURIComponent(agent)}`],
    ["tokens", "/manage/tokens"],
    ["users", "/manage/users"],
    ["account", "/manage/account"],
    ["server", "/server"],
    ["sign-in", "/"],
  ];
  const looks: [string, Look][] = [
    ["dark", { theme: "dark", width: 1440, height: 900 }],
    ["light", { theme: "light", width: 1440, height: 900 }],
    ["phone", { theme: "dark", width: 390, height: 844 }],
  ];
  for (const [name, path] of pages.filter(([name]) => ONLY?.includes(name) ?? true))
    for (const [suffix, look] of looks) {
      const signedIn = name === "sign-in" ? { token: undefined } : name === "account" ? { user: ADA } : {};
      const { page, context } = await open(browser, url + path, { ...look, ...signedIn });
      await page.locator("h1").first().waitFor();
      if (path.includes("range=") || name === "board") await page.locator(".ng-legend li").first().waitFor();
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
