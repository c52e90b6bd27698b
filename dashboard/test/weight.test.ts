/** What the first load of the page weighs: whoever opens it has waited for all of that before anything is seen. */

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const BAR_KIB = 250;
const KIB = 1024;

/** What a file names that is fetched with it at once: a page its scripts and sheets, a script what it imports at its start. */
export function namedBy(path: string, text: string): string[] {
  if (path.endsWith(".html")) return [...text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, found = ""]) => found.slice(1));
  if (!path.endsWith(".js")) return [];
  const imports = [...text.matchAll(/(?:^|[;}\s])(?:import|export)\s*(?:[^"'();]*?from\s*)?["'](\.[^"']+)["']/g)];
  return imports.map(([, found = ""]) => join(dirname(path), found));
}

/** Every file of the first load with its bytes as they come over the wire; a font is compressed already. */
function firstLoad(): Map<string, number> {
  const found = new Map<string, number>();
  const look = (path: string) => {
    if (found.has(path)) return;
    const bytes = readFileSync(join(DIST, path));
    found.set(path, gzipSync(bytes).length);
    for (const next of namedBy(path, bytes.toString())) look(next);
  };
  look("index.html");
  for (const font of readdirSync(join(DIST, "assets")).filter((name) => name.endsWith(".woff2"))) found.set(`assets/${font}`, readFileSync(join(DIST, "assets", font)).length);
  return found;
}

test("what a script imports at its start is found, what it asks for later is not", () => {
  expect(namedBy("assets/a.js", 'import{a as b}from"./one.js";import"./two.js";export{c}from"./three.js";const d=()=>import("./later.js");')).toEqual(["assets/one.js", "assets/two.js", "assets/three.js"]);
  expect(namedBy("index.html", '<link rel="modulepreload" href="/assets/one.js"><script type="module" src="/assets/a.js"></script>')).toEqual(["assets/one.js", "assets/a.js"]);
});

test(`the first load is at most ${BAR_KIB} KiB, compressed`, () => {
  const files = firstLoad();
  expect([...files.keys()].filter((path) => path.endsWith(".js")).length, "the page's own script was found").toBeGreaterThan(0);
  const kib = [...files.values()].reduce((sum, bytes) => sum + bytes, 0) / KIB;
  const parts = [...files].map(([path, bytes]) => `${path} ${(bytes / KIB).toFixed(1)} KiB`).join(", ");
  expect(kib, `the first load is ${kib.toFixed(1)} KiB, over the bar of ${BAR_KIB} KiB: ${parts}`).toBeLessThanOrEqual(BAR_KIB);
});
