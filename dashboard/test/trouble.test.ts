/** What the page says when something is wrong with the address, the server, or the page itself. */

import { expect, test } from "vitest";
import { System } from "./system.ts";

const system = new System();

test("an address that can't be read is no page, and not a blank one", async () => {
  const { page, context } = await system.open("/hosts/%E0%A4%A");
  await page.getByRole("heading", { name: "There is no such page" }).waitFor();
  await page.goto(`${system.server.url}/boards/%`);
  await page.getByRole("heading", { name: "There is no such page" }).waitFor();
  await context.close();
});

test("a server that does not answer is said, and asked again", async () => {
  const { page, context } = await system.open("/");
  await context.route("**/api/v1/session", (route) => route.abort());
  await page.reload();
  await page.getByRole("heading", { name: "The server does not answer" }).waitFor();
  await context.unroute("**/api/v1/session");
  await page.getByRole("heading", { name: "Fleet" }).waitFor();
  await context.close();
});

test("a part that is gone after an upgrade loads the page anew once, and is said if that does not help", async () => {
  const { page, context } = await system.open("/");
  await page.getByRole("link", { name: system.server.agent, exact: true }).waitFor();
  let loads = 0;
  page.on("load", () => {
    loads += 1;
  });
  const part = /assets\/ServerPage-.*\.js/;
  await context.route(part, (route) => route.fulfill({ status: 404, body: "" }));
  await page.getByRole("link", { name: "Server" }).click();
  await page.getByRole("heading", { name: "This page can't be shown" }).waitFor();
  expect(loads).toBe(1);
  // The other pages are still within reach, and a reload mends it once the part is there.
  await page.getByRole("link", { name: "Fleet" }).click();
  await page.getByRole("link", { name: system.server.agent, exact: true }).waitFor();
  await page.getByRole("link", { name: "Server" }).click();
  await page.getByRole("button", { name: "Reload" }).waitFor();
  await context.unroute(part);
  await page.getByRole("button", { name: "Reload" }).click();
  await page.getByRole("heading", { name: "Server", exact: true }).waitFor();
  await context.close();
});

test("a fleet without hosts says how to add one, to those who may", async () => {
  const nobody = `event: overview\ndata: ${JSON.stringify({ full: true, agents: [] })}\n\n`;
  const links: number[] = [];
  for (const look of [{}, { token: await system.token("viewer") }]) {
    const { page, context } = await system.open("/server", look);
    await context.route("**/api/v1/metrics/stream?*", (route) => route.fulfill({ contentType: "text/event-stream", body: nobody }));
    await page.goto(system.server.url);
    await page.getByRole("heading", { name: "No hosts yet" }).waitFor();
    links.push(await page.getByRole("link", { name: "Add a host" }).count());
    await context.close();
  }
  expect(links).toEqual([1, 0]);
});
