// Keeps the checked-in bundle and its sources in step: records in dist/sources.txt what the bundle was built from, and with
// --check says whether that is still so.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** What the bundle is made of. */
const SOURCES = ["clients/typescript/src", "clients/react/src", "dashboard/src", "dashboard/index.html", "dashboard/vite.config.ts", "package-lock.json"];
const SEAL = join(root, "dashboard/dist/sources.txt");

function* files(path) {
  if (/\.[a-z]+$/.test(path)) return yield path;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) yield* files(inner);
    // Tests are not in the bundle, nor are types alone.
    else if (!/\.test\.tsx?$|^schema\.ts$/.test(entry.name)) yield inner;
  }
}

const paths = SOURCES.flatMap((source) => [...files(join(root, source))]);
const lines = paths
  .map((path) => [relative(root, path).replaceAll("\\", "/"), createHash("sha256").update(readFileSync(path)).digest("hex")])
  .sort(([one], [other]) => (one < other ? -1 : 1))
  .map(([path, hash]) => `${hash}  ${path}\n`)
  .join("");

if (process.argv.includes("--check")) {
  const sealed = existsSync(SEAL) ? readFileSync(SEAL, "utf8") : "";
  if (sealed !== lines) {
    console.error("dashboard/dist is not built from the sources as they are: run `npm run build -w @nodeglass/dashboard`");
    process.exit(1);
  }
} else writeFileSync(SEAL, lines);
