/** What the files of browser tests have in common: one server and one browser for each file, and its API. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { TOKEN, TestServer } from "../../clients/typescript/test/server.ts";
import { violations } from "./axe.ts";
import { type Look, open, startBrowser } from "./browser.ts";

/** A running system and a browser. */
export class System {
  server!: TestServer;
  browser!: Browser;

  /** Starts them before a file's tests, and ends them after. */
  constructor() {
    beforeAll(async () => {
      [this.server, this.browser] = await Promise.all([TestServer.start(), startBrowser()]);
    });
    afterAll(async () => {
      await this.browser?.close();
      await this.server?.end();
    });
  }

  /** Calls the API as an admin. */
  async api<T>(path: string, method = "GET", body?: object): Promise<T> {
    const response = await fetch(`${this.server.url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, ...(body ? { "content-type": "application/json" } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  /** A new token of a role. */
  async token(role: string): Promise<string> {
    return (await this.api<{ token: string }>("/tokens", "POST", { name: `${role}-of-test`, role })).token;
  }

  /** Opens a page as an admin, or as `look` says. */
  open(path: string, look: Look = {}) {
    return open(this.browser, this.server.url + path, look);
  }

  /** Has axe look at a page in both colours and as a phone has it; `drawn` is there when there is something to see. */
  async isAccessible(path: string, drawn: string, look: Look = {}): Promise<void> {
    for (const theme of ["light", "dark"] as const)
      for (const [width, height] of [[1440, 900], [390, 844]] as const) {
        const { page, context } = await this.open(path, { ...look, theme, width, height });
        await page.locator(drawn).first().waitFor();
        expect(await violations(page), `${path} in ${theme} at ${width} pixels`).toEqual([]);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        expect(over, `${path} at ${width} pixels is wider than the screen`).toBeLessThanOrEqual(0);
        await context.close();
      }
  }
}
