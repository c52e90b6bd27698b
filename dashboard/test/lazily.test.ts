/** A part of the page that is gone since the server is newer. */

import { expect, test } from "vitest";
import { fetchPart } from "../src/shell/lazily.ts";

const gone = new Error("Failed to fetch dynamically imported module");

function browser() {
  const store = new Map<string, string>();
  const seen = { reloads: 0 };
  const kept = { getItem: (key: string) => store.get(key) ?? null, setItem: (key: string, value: string) => void store.set(key, value) };
  return { seen, reloading: () => ({ kept, reload: () => void (seen.reloads += 1) }) };
}

/** What came of it, as soon as that is known. */
function outcome(part: Promise<unknown>): Promise<string> {
  const pending = new Promise<string>((resolve) => setTimeout(() => resolve("pending"), 20));
  return Promise.race([part.then(() => "there", () => "failed"), pending]);
}

test("a part that is there is given", async () => {
  expect(await fetchPart(() => Promise.resolve(7), browser().reloading)).toBe(7);
});

test("the page is loaded anew once, and says so if that did not help", async () => {
  const { seen, reloading } = browser();
  const load = () => Promise.reject(gone);
  expect(await outcome(fetchPart(load, reloading, 1_000_000))).toBe("pending");
  expect(seen.reloads).toBe(1);
  expect(await outcome(fetchPart(load, reloading, 1_002_000))).toBe("failed");
  expect(seen.reloads).toBe(1);
  // The next upgrade is another matter.
  expect(await outcome(fetchPart(load, reloading, 9_000_000))).toBe("pending");
  expect(seen.reloads).toBe(2);
});

test("without a store the page is not loaded anew again and again", async () => {
  const part = fetchPart(() => Promise.reject(gone), () => {
    throw new Error("denied");
  });
  await expect(part).rejects.toBe(gone);
});
