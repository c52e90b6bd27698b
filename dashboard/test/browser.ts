/** A real browser for tests. */

import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, type Page, chromium } from "playwright-core";
import { TOKEN } from "../../clients/typescript/test/server.ts";

/** Where Debian puts Chromium, if `NODEGLASS_CHROMIUM` does not say where it is. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

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
}

/** A page that is signed in, and what it complained about. */
export interface Opened {
  context: BrowserContext;
  page: Page;
  complaints: string[];
}

/** Opens a page of the dashboard; with `token: undefined` nobody is signed in. */
export async function open(browser: Browser, url: string, look: Look = {}): Promise<Opened> {
  const { width = 1440, height = 900, theme = "dark", scale = 1 } = look;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, deviceScaleFactor: scale });
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
