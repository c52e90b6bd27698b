/** What the tests in a browser have in common: a real server with a real agent, Chromium, and a page that shows one component. */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { type IncomingMessage, type ServerResponse, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { createViteServer } from "vitest/node";
import { startBrowser } from "../../../dashboard/test/browser.ts";
import { NodeglassClient } from "../../typescript/src/index.ts";
import { TOKEN, TestServer, eventually } from "../../typescript/test/server.ts";

/** Whether there is a browser; where there is none, nothing can be shown. */
export const HAS_BROWSER =
  process.env.NODEGLASS_CHROMIUM !== undefined || ["chromium", "chromium-browser", "google-chrome"].some((name) => existsSync(`/usr/bin/${name}`));

/** What a page is asked for. */
export interface Wish {
  agent?: string;
  token?: string;
  from?: number;
  to?: number;
}

/** See the file. */
export class Stage {
  server!: TestServer;
  client!: NodeglassClient;
  private browser!: Browser;
  private pages!: Awaited<ReturnType<typeof createViteServer>>;
  private readonly cache = mkdtempSync(join(tmpdir(), "nodeglass-pages-"));

  /** Starts all before a file's tests, and ends it after them. */
  constructor() {
    if (!HAS_BROWSER) {
      console.warn("The components in a browser: NOT TESTED: no Chromium; `apt-get install chromium`");
      return;
    }
    beforeAll(async () => {
      [this.server, this.browser] = await Promise.all([TestServer.start(), startBrowser()]);
      this.client = new NodeglassClient({ baseUrl: `${this.server.url}/api/v1`, token: TOKEN });
      this.pages = await createViteServer({
        configFile: false,
        root: fileURLToPath(new URL("page", import.meta.url)),
        cacheDir: this.cache,
        logLevel: "error",
        resolve: { conditions: ["source", "module", "browser", "development|production"] },
        optimizeDeps: { include: ["react", "react-dom/client", "react/jsx-dev-runtime", "@tanstack/react-query", "uplot"] },
        server: { port: 0, host: "127.0.0.1", hmr: false, fs: { strict: false }},
        plugins: [{ name: "api", configureServer: ({ middlewares }) => void middlewares.use("/api", (asked, answer) => this.passOn(asked, answer)) }],
      });
      await this.pages.listen();
      await eventually("a sample with rates", async () => ((await this.client.getCurrentMetrics(this.server.agent)).cpu?.usage_percent));
    });
    afterAll(async () => {
      await this.browser?.close();
      await this.pages?.close();
      await this.server?.end();
      rmSync(this.cache, { recursive: true, force: true });
    });
  }

  /** The server is of the page's own origin, as where it serves the page itself; where it breaks off, so does the answer. */
  private passOn(asked: IncomingMessage, answer: ServerResponse): void {
    const { method, headers } = asked;
    const further = request(`${this.server.url}/api${asked.url}`, { method, headers }, (given) => {
      answer.writeHead(given.statusCode ?? 500, given.headers);
      given.pipe(answer);
      given.on("error", () => answer.destroy());
    });
    further.on("error", () => answer.destroy());
    answer.on("close", () => further.destroy());
    asked.pipe(further);
  }

  /** Opens a page with a component, and collects what it complains about. */
  async open(show: string, { agent = this.server.agent, token = TOKEN, ...span }: Wish = {}): Promise<{ page: Page; complaints: string[] }> {
    const context = await this.browser.newContext({ viewport: { width: 760, height: 1400 } });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    const words = new URLSearchParams({ show, agent, token, ...Object.fromEntries(Object.entries(span).map(([name, at]) => [name, String(at)])) });
    await page.goto(`${this.pages.resolvedUrls?.local[0]}?${words}`);
    return { page, complaints };
  }
}
