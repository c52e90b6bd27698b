/** One's own password and one-time codes, on the page. */

import { createHmac } from "node:crypto";
import type { Locator, Page } from "playwright-core";
import decodeQR from "qr/decode.js";
import { expect, test } from "vitest";
import { eventually } from "../../clients/typescript/test/server.ts";
import { System } from "./system.ts";

const system = new System();
const FIRST = "the first long passphrase";
const SECOND = "the second long passphrase";

/** What a camera reads in a picture of a QR code. */
async function readByCamera(picture: Locator): Promise<string> {
  const [quiet = 0, , size = 0] = ((await picture.getAttribute("viewBox")) ?? "").split(" ").map(Number);
  const path = (await picture.locator("path").getAttribute("d")) ?? "";
  const scale = 4;
  const side = size * scale;
  const data = new Uint8Array(side * side * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)h1v1h-1z/g))
    for (let row = 0; row < scale; row++)
      for (let column = 0; column < scale; column++) {
        const pixel = ((Number(y) - quiet) * scale + row) * side + (Number(x) - quiet) * scale + column;
        data.fill(0, pixel * 4, pixel * 4 + 3);
      }
  return decodeQR({ width: side, height: side, data });
}

async function signIn(page: Page, password: string, code?: string): Promise<void> {
  await page.getByRole("button", { name: "Name and password" }).click();
  await page.getByLabel("Name", { exact: true }).fill("ada");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  if (code === undefined) return;
  await page.getByLabel("Code").fill(code);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** The code of RFC 6238 for a secret in base 32, in the step that is so many after that of now. */
function oneTimeCode(secret: string, later = 0): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret.replace(/[^A-Z2-7]/g, "")].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
  const digest = createHmac("sha1", key).update(step).digest();
  const at = (digest.at(-1) ?? 0) & 15;
  return String((digest.readUInt32BE(at) & 0x7fff_ffff) % 1_000_000).padStart(6, "0");
}

test("a user changes the password, sets one-time codes up, signs in with them, and turns them off", async () => {
  await system.api("/users", "POST", { name: "ada", role: "viewer", password: FIRST });
  const { page, context, complaints } = await system.open("/manage/account", { token: undefined });
  await signIn(page, FIRST);
  const form = page.getByRole("form", { name: "Change the password" });
  const change = async (old: string, next: string) => {
    await form.getByLabel("Present password").fill(old);
    await form.getByLabel("New password", { exact: true }).fill(next);
    await form.getByLabel("New password again").fill(next);
    await form.getByRole("button", { name: "Change the password" }).click();
  };
  // A wrong password is said, and ends nothing.
  await change("not the password", SECOND);
  await form.getByRole("alert").getByText("not right").waitFor();
  await change(FIRST, "a long one of ada");
  await eventually("one with the name in it is refused", async () => ((await form.getByRole("alert").textContent())?.includes("not right") ? undefined : true));
  await form.getByLabel("New password again").fill("something else");
  await form.getByText("The two are not the same").waitFor();
  expect(await form.getByRole("button", { name: "Change the password" }).isDisabled()).toBe(true);
  // Other sessions end, this one stays.
  const other = await system.open("/", { token: undefined });
  await signIn(other.page, FIRST);
  await other.page.getByRole("link", { name: system.server.agent, exact: true }).waitFor();
  await change(FIRST, SECOND);
  await form.getByText("Changed. Your other sessions have ended.").waitFor();
  await other.page.getByRole("button", { name: "Sign in" }).waitFor();

  const codes = page.getByRole("region", { name: "One-time codes" });
  await codes.getByLabel("Password", { exact: true }).fill(FIRST);
  await codes.getByRole("button", { name: "Set up" }).click();
  await codes.getByRole("alert").waitFor();
  await codes.getByLabel("Password", { exact: true }).fill(SECOND);
  await codes.getByRole("button", { name: "Set up" }).click();
  const secret = (await codes.locator("pre").textContent()) ?? "";
  const address = await codes.getByRole("link", { name: "open it there" }).getAttribute("href");
  expect(address).toContain(`secret=${secret.replaceAll(" ", "")}`);
  expect(await readByCamera(codes.getByRole("img"))).toBe(address);
  await codes.getByLabel("Code", { exact: true }).fill("abcdef");
  await codes.getByRole("button", { name: "Turn on" }).click();
  await codes.getByRole("alert").waitFor();
  await codes.getByLabel("Code", { exact: true }).fill(oneTimeCode(secret));
  await codes.getByRole("button", { name: "Turn on" }).click();
  const made = codes.locator(".made pre");
  const recovery = ((await made.textContent()) ?? "").split("\n");
  expect(recovery.length).toBeGreaterThan(4);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await codes.getByRole("button", { name: "Copy the recovery codes" }).click();
  await codes.getByRole("button", { name: "Copied" }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(recovery.join("\n"));
  await codes.getByRole("button", { name: "I have them" }).click();
  await codes.getByText("on", { exact: true }).waitFor();
  // They are shown this once.
  await page.reload();
  await codes.getByText("on", { exact: true }).waitFor();
  expect(await made.count()).toBe(0);

  // The code of the next step is taken, too, as clocks differ; that of this step is used.
  await other.page.reload();
  await signIn(other.page, SECOND, oneTimeCode(secret, 1));
  await other.page.getByRole("link", { name: system.server.agent, exact: true }).waitFor();
  await codes.getByLabel("Password", { exact: true }).fill(SECOND);
  await codes.getByLabel("Code", { exact: true }).fill(recovery[0] ?? "");
  await codes.getByRole("button", { name: "Turn off" }).click();
  await codes.getByText("off", { exact: true }).waitFor();
  const { users } = await system.api<{ users: { name: string; one_time_codes?: boolean }[] }>("/users");
  expect(users.find(({ name }) => name === "ada")?.one_time_codes ?? false).toBe(false);
  // The browser itself says what was answered with 401 and 409.
  expect(complaints.filter((text) => !text.startsWith("Failed to load resource"))).toEqual([]);
  await other.context.close();
  await context.close();
});

test("who signed in with a token is told why there is no password", async () => {
  const { page, context } = await system.open("/");
  await page.getByRole("link", { name: "Your account" }).click();
  await page.getByText("Tokens have no password").waitFor();
  expect(await page.getByRole("form").count()).toBe(0);
  await context.close();
});

test("axe finds nothing, and it is no wider than a phone", async () => {
  await system.api("/users", "POST", { name: "grace", role: "operator", password: FIRST });
  await system.isAccessible("/manage/account", "form[aria-label='Set up one-time codes']", { user: { user: "grace", password: FIRST } });
});
