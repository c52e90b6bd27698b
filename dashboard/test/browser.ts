/**
 * A real browser for tests. With `NODEGLASS_BUNDLE=1` pages are those of `dashboard/dist` as it lies there, with the server's own
 * headers: while one works on them, the server need not be built anew after each change.
 */

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, type Page, chromium } from "playwright-core";
import { TOKEN } from "../../clients/typescript/test/server.ts";

/** Where Debian puts Chromium, if `NODEGLASS_CHROMIUM` does not say where it is. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES: Record<string, string> = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", woff2: "font/woff2", svg: "image/svg+xml" };

/** Has pages and what they are made of come from the bundle on disk. */
async function serveBundle(context: BrowserContext): Promise<void> {
  await context.route(/^[^?]*\/\/[^/]+\/(?!api|ready|health|metrics|ws)/, async (route) => {
    const { pathname } = new URL(route.request().url());
    const name = pathname.includes(".") && existsSync(DIST + pathname) ? pathname.slice(1) : "index.html";
    const headers = (await route.fetch()).headers();
    delete headers["content-encoding"];
    await route.fulfill({ status: 200, headers, contentType: TYPES[name.split(".").at(-1) ?? ""] ?? "", body: readFileSync(DIST + name) });
  });
}

/** Starts Chromium without a window. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = process.env.NODEGLASS_CHROMIUM ?? PLACES.find((path) => existsSync(path));
  if (!executablePath) throw new Error("no Chromium: `apt-get install chromium`, or say where it is with NODEGLASS_CHROMIUM");
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
}

/** How a page is looked at. */
export interface Look {
  width?: number;
  height?: number;
  theme?: "light" | "dark";
  token?: string | undefined;
  /** In place of a token. */
  user?: { user: string; password: string };
  scale?: number;
  /** With fingers, as a phone has it. */
  hasTouch?: boolean;
  reducedMotion?: "reduce" | "no-preference";
  /** The time zone of the browser. */
  timezoneId?: string;
  /** Whether scripts run. */
  javaScriptEnabled?: boolean;
}

/** A page that is signed in, and what it complained about. */
export interface Opened {
  context: BrowserContext;
  page: Page;
  complaints: string[];
}

/** Opens a page of the dashboard; with `token: undefined` nobody is signed in. */
export async function open(browser: Browser, url: string, look: Look = {}): Promise<Opened> {
  const { width = 1440, height = 900, theme = "dark", scale = 1, token: _token, user: _user, ...more } = look;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, deviceScaleFactor: scale, ...more });
  if (process.env.NODEGLASS_BUNDLE) await serveBundle(context);
  const token = "token" in look ? look.token : TOKEN;
  const data = look.user ?? (token ? { token } : undefined);
  if (data) {
    const { origin } = new URL(url);
    const answer = await context.request.post(`${origin}/api/v1/session`, { data, headers: { origin } });
    if (!answer.ok()) throw new Error(`signing in: ${answer.status()} ${await answer.text()}`);
  }
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  await page.goto(url);
  return { context, page, complaints };
}
