/** A fleet that is played after a recorded host, and history of one: what benches and pictures need beside one real host. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type TestServer, program } from "../../clients/typescript/test/server.ts";

/** The recording: beside the repository, where `cargo xtask bench fleet` looks as well. */
const TRACE = process.env.NODEGLASS_TRACE ?? fileURLToPath(new URL("../../../shared/data/host-trace-1s.csv.gz", import.meta.url));

/** Whether there is a recording. */
export const hasTrace = existsSync(TRACE);

/** Puts so many hours of a host into a database that no server has yet; its name is `hist-0`. */
export function fill(database: string, hours: number): void {
  execFileSync(program("nodeglass-queries"), ["fill", "--database", database, "--trace", TRACE, "--agents", "1", "--hours", String(hours)], { stdio: "ignore" });
}

/** Plays so many agents, each a sample in a second, and gives the program once all are there. */
export async function play(server: TestServer, agents: number): Promise<ChildProcess> {
  const fleet = spawn(
    program("nodeglass-fleet"),
    ["--server", server.url, "--database", server.database, "--trace", TRACE, "--agents", String(agents), "--interval", "1", "--seconds", "3600"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  for await (const line of createInterface({ input: fleet.stdout })) if (line.includes("measuring")) break;
  return fleet;
}

/** Ends it. */
export async function end(fleet: ChildProcess): Promise<void> {
  if (fleet.exitCode !== null) return;
  const ended = once(fleet, "exit");
  fleet.kill();
  await ended;
}
