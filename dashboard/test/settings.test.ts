/** What a host is asked to do, and what is in force there, on the page and in the API. */

import type { AgentSettings, AgentLabels, SettingsState } from "@nodeglass/client";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { eventually } from "../../clients/typescript/test/server.ts";
import { System } from "./system.ts";

const system = new System();
const state = () => system.api<SettingsState>(`/agents/${system.server.agent}/settings`);
const address = () => `/manage/settings?host=${system.server.agent}`;

function row(page: Page, key: keyof AgentSettings) {
  return page.locator(`[data-setting=${key}]`);
}

/** Waits until the row shows what the API has in force. */
async function shows(page: Page, key: keyof AgentSettings, text: string): Promise<void> {
  await row(page, key).locator(".value", { hasText: text }).waitFor();
}

test("what is in force is shown as the API has it, and follows what others change", async () => {
  const { page, context, complaints } = await system.open(address());
  const before = await eventually("a report", async () => {
    const found = await state();
    return found.applied ? found : undefined;
  });
  await shows(page, "collection_interval_seconds", `${before.in_force?.collection_interval_seconds}\u202fs`);
  await shows(page, "exclude_filesystems", before.in_force?.exclude_filesystems?.join(", ") ?? "");
  await shows(page, "collected_metrics", "everything");
  await page.getByRole("status").getByText("in force", { exact: true }).waitFor();
  expect(await row(page, "top_processes").locator("td").nth(1).textContent()).toBe("its own configuration");
  await system.api(`/agents/${system.server.agent}/settings`, "PATCH", { top_processes: 3 });
  await shows(page, "top_processes", "3");
  await row(page, "top_processes").getByText("this host's settings").waitFor();
  await system.api(`/agents/${system.server.agent}/settings`, "PUT", {});
  await row(page, "top_processes").getByText("its own configuration").waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test("an operator changes intervals, metrics and filters of a running host, and leaves them to others again", async () => {
  const { page, context } = await system.open(address(), { token: await system.token("operator") });
  await page.getByRole("checkbox", { name: "Ask this host alone for: Interval" }).check();
  await row(page, "collection_interval_seconds").getByRole("spinbutton", { name: "Interval" }).fill("7");
  await page.getByRole("group", { name: "Metrics" }).getByRole("checkbox", { name: "memory", exact: true }).uncheck();
  await page.getByRole("checkbox", { name: "Ask this host alone for: Interfaces left out" }).check();
  await page.getByRole("textbox", { name: "Interfaces left out" }).fill("lo, veth*\ndocker*");
  await page.getByRole("button", { name: "Save" }).click();
  await shows(page, "collection_interval_seconds", "7\u202fs");
  await shows(page, "exclude_interfaces", "lo, veth*, docker*");
  await shows(page, "exclude_metrics", "memory");
  const found = await state();
  expect(found.own).toEqual({ collection_interval_seconds: 7, exclude_metrics: ["memory"], exclude_interfaces: ["lo", "veth*", "docker*"] });
  expect(found.in_force).toMatchObject(found.own);
  await eventually("samples without memory", async () => {
    const sample = await system.api<{ memory?: object; cpu?: object }>(`/agents/${system.server.agent}/metrics`);
    return sample.cpu && !sample.memory ? true : undefined;
  });
  // One goes back by itself, the rest at once.
  await page.getByRole("checkbox", { name: "Ask this host alone for: Interval" }).uncheck();
  await page.getByRole("button", { name: "Save" }).click();
  await row(page, "collection_interval_seconds").getByText("the server's configuration").waitFor();
  expect((await state()).own.collection_interval_seconds ?? null).toBeNull();
  page.on("dialog", (dialog) => void dialog.accept());
  await page.getByRole("button", { name: "Leave all to others" }).click();
  await row(page, "exclude_metrics").getByText("its own configuration").waitFor();
  expect((await state()).own).toEqual({});
  expect(await page.getByRole("checkbox", { name: "memory", exact: true }).isChecked()).toBe(true);
  await context.close();
});

test("what can't be is refused in the server's words, beside its field, and nothing of it is done", async () => {
  const { page, context } = await system.open(address());
  await page.getByRole("checkbox", { name: "Ask this host alone for: Metrics left out" }).check();
  await page.getByRole("textbox", { name: "Metrics left out" }).fill("cpu.usage_percnt");
  await page.getByRole("checkbox", { name: "Ask this host alone for: Processes" }).check();
  await page.getByRole("button", { name: "Save" }).click();
  const alert = page.getByRole("alert");
  await alert.waitFor();
  expect(await alert.textContent()).toContain("cpu.usage_percnt");
  expect(await page.getByRole("textbox", { name: "Metrics left out" }).getAttribute("aria-invalid")).toBe("true");
  expect((await state()).own).toEqual({});
  // What was typed is still there to be mended.
  expect(await page.getByRole("textbox", { name: "Metrics left out" }).inputValue()).toBe("cpu.usage_percnt");
  await page.getByRole("button", { name: "Discard" }).click();
  expect(await page.getByRole("textbox", { name: "Metrics left out" }).count()).toBe(0);
  await page.goto(`${system.server.url}/manage/settings?host=nobody`);
  await page.getByText(/nobody/).first().waitFor();
  await context.close();
});

test("labels are added and taken away, and say who said them", async () => {
  const { page, context } = await system.open(address());
  const labels = page.getByRole("region", { name: "Labels" });
  await labels.getByRole("textbox", { name: "Labels" }).fill("env=prod, rack");
  await labels.getByRole("button", { name: "Add" }).click();
  await labels.getByRole("listitem").filter({ hasText: "env=prod" }).getByText("server").waitFor();
  const said = () => system.api<AgentLabels>(`/agents/${system.server.agent}/labels`);
  expect((await said()).labels).toMatchObject({ env: { value: "prod", origin: "server" }, rack: { value: "" } });
  await labels.getByRole("button", { name: "Take away rack" }).click();
  await labels.getByRole("listitem").filter({ hasText: "rack" }).waitFor({ state: "detached" });
  expect((await said()).labels).not.toHaveProperty("rack");
  await labels.getByRole("textbox", { name: "Labels" }).fill("-bad=1");
  await labels.getByRole("button", { name: "Add" }).click();
  await labels.getByRole("alert").waitFor();
  await context.close();
});

test("a viewer sees all of it and can change nothing", async () => {
  const { page, context } = await system.open(address(), { token: await system.token("viewer") });
  const { in_force } = await state();
  await shows(page, "collection_interval_seconds", `${in_force?.collection_interval_seconds}\u202fs`);
  await page.getByRole("listitem").filter({ hasText: "env=prod" }).waitFor();
  const main = page.getByRole("main");
  expect(await main.getByRole("button").allTextContents()).toEqual(["Show"]);
  expect(await main.getByRole("checkbox", { disabled: false }).count()).toBe(0);
  expect(await main.getByRole("spinbutton").count()).toBe(0);
  await context.close();
});

test("axe finds nothing, and it is no wider than a phone", async () => {
  await system.api(`/agents/${system.server.agent}/settings`, "PATCH", { top_processes: 3, exclude_metrics: ["nfs"], enabled: true });
  await system.isAccessible(address(), "[data-setting=top_processes] .value");
});
