/** The real thing for tests: server and agent in one process, as `nodeglass up` starts them, on a port of its own. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The admin token of every test server. */
export const TOKEN = "test-admin-token-0123456789";

/** How long any condition may take on a busy two-core machine. */
const PATIENCE_MS = 60_000;

/** A program that cargo built: of the profile `NODEGLASS_PROFILE`, or for tests. */
export function program(name: string): string {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
  const path = join(target, process.env.NODEGLASS_PROFILE ?? "debug", name);
  if (!existsSync(path)) throw new Error(`${path} is not there: run \`cargo build --workspace --bins\`, or \`cargo xtask test\``);
  return path;
}

/** A whole system. */
export class TestServer {
  url = "";
  agent = "";
  private process: ChildProcess | undefined;
  private readonly directory = mkdtempSync(join(tmpdir(), "nodeglass-"));

  /** Its database, as a URL. */
  readonly database = `sqlite://${join(this.directory, "nodeglass.db")}`;

  /** Starts it, after its database was prepared, and waits until it says where it is. */
  static async start(prepare?: (database: string) => Promise<unknown>): Promise<TestServer> {
    const server = new TestServer();
    await prepare?.(server.database);
    await server.run("127.0.0.1:0");
    return server;
  }

  /** Kills it, as a power loss would. */
  async kill(): Promise<void> {
    const running = this.process;
    this.process = undefined;
    if (!running || running.exitCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGKILL");
    await ended;
  }

  /** Starts it again at the same address. */
  async again(): Promise<void> {
    await this.run(this.url.replace("http://", ""));
  }

  /** Ends it and leaves nothing. */
  async end(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async run(listen: string): Promise<void> {
    const started = spawn(program("nodeglass"), ["up", "--listen", listen, "--data-dir", this.directory], {
      env: { ...process.env, NODEGLASS_ADMIN_TOKEN: TOKEN, METRICS_INTERVAL_LIVE: "1" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.process = started;
    for await (const line of createInterface({ input: started.stdout })) {
      const [label, word] = line.trim().split(/\s+/);
      if (label === "address") this.url = word ?? "";
      if (label === "agent") this.agent = word ?? "";
      if (label === "Ctrl-C") return;
    }
    throw new Error("the server ended before it was up");
  }
}

/** Asks again and again until there is an answer. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  let last: unknown;
  while (Date.now() < until) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited ${PATIENCE_MS / 1000} s in vain for: ${what}`, { cause: last });
}
