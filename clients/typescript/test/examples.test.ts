/** The examples run, on plain Node, with the package as it is built and published, before a real server. */

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NodeglassClient } from "../src/index.ts";
import { TOKEN, TestServer, eventually } from "./server.ts";

const run = promisify(execFile);
const here = fileURLToPath(new URL("..", import.meta.url));
const place = mkdtempSync(join(tmpdir(), "nodeglass-examples-"));
let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start();
  const built = join(place, "node_modules/@nodeglass/client");
  mkdirSync(built, { recursive: true });
  symlinkSync(join(here, "package.json"), join(built, "package.json"));
  writeFileSync(join(place, "package.json"), '{"type":"module"}');
  const tsc = join(here, "../../node_modules/typescript/bin/tsc");
  await run(process.execPath, [tsc, "-p", join(here, "tsconfig.build.json"), "--outDir", join(built, "dist")]);
  // Their types are checked with all others.
  for (const name of ["watch", "manage"]) {
    const { outputText } = ts.transpileModule(readFileSync(join(here, "examples", `${name}.ts`), "utf8"), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    writeFileSync(join(place, `${name}.js`), outputText);
  }
  const client = new NodeglassClient({ baseUrl: `${server.url}/api/v1`, token: TOKEN });
  await eventually("a first sample", () => client.getCurrentMetrics(server.agent));
}, 120_000);

afterAll(async () => {
  await server?.end();
  rmSync(place, { recursive: true, force: true });
});

/** What an example prints. */
async function printed(name: string, ...words: string[]): Promise<string[]> {
  const env = { ...process.env, NODEGLASS_URL: `${server.url}/api/v1`, NODEGLASS_TOKEN: TOKEN };
  const { stdout, stderr } = await run(process.execPath, [join(place, `${name}.js`), ...words], { env });
  expect(stderr).toBe("");
  return stdout.trim().split("\n");
}

test("a host is followed on a terminal", async () => {
  const lines = await printed("watch", server.agent, "2");
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z cpu (-|[\d.]+) % memory [\d.]+ %$/);
});

test("tokens and labels are managed, and what is there already is said", async () => {
  const [hosts, token] = await printed("manage", server.agent);
  expect(hosts).toBe(`in production: ${server.agent}`);
  expect(token).toMatch(/^a token, shown this once: \S+$/);
  // The log is written beside the calls.
  const [, again] = await eventually("the log to have it", async () => {
    const lines = await printed("manage", server.agent);
    return lines.some((line) => line.includes("token.add done")) ? lines : undefined;
  });
  expect(again).toMatch(/^there is such a token already: /);
});
