/** Local time and UTC: as the address says, so that whoever is sent it sees the same picture. */

import { expect, test } from "vitest";
import { System } from "./system.ts";

const system = new System();
/** Eleven hours from UTC, and never another. */
const NOUMEA = "Pacific/Noumea";
const FROM = Date.UTC(2024, 0, 1, 12, 0, 0);
const host = (more: string) => `/hosts/${system.server.agent}?from=${FROM}&to=${FROM + 600_000}${more}`;

test("the choice is in the address, and a colleague in another place who likes another sees the same", async () => {
  const { page, context } = await system.open(host(""), { timezoneId: NOUMEA });
  const shown = page.locator(".shown-span");
  await page.getByText("2024-01-01 23:00:00").waitFor();
  await page.keyboard.press("u");
  await page.waitForURL(/tz=utc/);
  expect(await shown.textContent()).toContain("2024-01-01 12:00:00 – 12:10:00 UTC");
  const link = new URL(page.url());
  const colleague = await system.open(link.pathname + link.search, { timezoneId: "America/New_York" });
  await colleague.page.getByText("2024-01-01 12:00:00").waitFor();
  expect(await colleague.page.locator(".shown-span").textContent()).toBe(await shown.textContent());
  await colleague.context.close();
  // Other pages stay in UTC, and say so as well.
  await page.getByRole("link", { name: "Compare" }).click();
  await page.waitForURL(/compare\?tz=utc/);
  // A link in local time is shown in it to one who likes UTC.
  await page.goto(system.server.url + host("&tz=local"));
  await page.getByText("2024-01-01 23:00:00").waitFor();
  await page.keyboard.press("u");
  await page.keyboard.press("u");
  await page.waitForURL(/tz=local/);
  await page.goto(system.server.url + host(""));
  await page.getByText("2024-01-01 23:00:00").waitFor();
  await context.close();
});

test("who zooms sends along how times are read", async () => {
  const { page, context } = await system.open(`/hosts/${system.server.agent}`, { timezoneId: NOUMEA });
  await page.getByRole("button", { name: "Earlier" }).click();
  await page.waitForURL(/from=\d+&to=\d+&tz=local/);
  await context.close();
});
