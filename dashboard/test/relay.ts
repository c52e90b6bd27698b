/** An agent of its own, and the way between it and the server, which can be cut as a network is. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { program } from "../../clients/typescript/test/server.ts";

/** Passes bytes on, both ways. */
export class Relay {
  private readonly open = new Set<Socket>();
  private listener: Server | undefined;
  private port = 0;

  constructor(private readonly to: string) {}

  /** Its address. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Listens: at first on a port of its own, and on the same after a cut. */
  async mend(): Promise<void> {
    const { hostname, port } = new URL(this.to);
    const listener = createServer((near) => {
      const far = connect(Number(port), hostname);
      for (const [one, other] of [[near, far], [far, near]] as const) {
        this.open.add(one);
        one.pipe(other);
        one.on("error", () => other.destroy());
        one.on("close", () => {
          this.open.delete(one);
          other.destroy();
        });
      }
    });
    await new Promise<void>((resolve) => listener.listen(this.port, "127.0.0.1", resolve));
    this.port = (listener.address() as AddressInfo).port;
    this.listener = listener;
  }

  /** Ends all that goes through it, and takes nothing more. */
  cut(): void {
    this.listener?.close();
    for (const socket of this.open) socket.destroy();
  }
}

/** An agent beside that of the server's own process. */
export class RemoteAgent {
  private readonly directory = mkdtempSync(join(tmpdir(), "nodeglass-agent-"));
  private process: ChildProcess | undefined;

  /** Enrols it with a string, and runs it with the lines of a configuration. */
  async start(enrolment: string, config: string): Promise<void> {
    const file = join(this.directory, "agent.yaml");
    writeFileSync(file, `local_endpoint: {enabled: false}\n${config}`);
    await promisify(execFile)(program("nodeglass-agent"), ["enroll", enrolment, "--data-dir", this.directory]);
    this.run();
  }

  /** Kills it, and starts it anew with the same journal. */
  async restart(): Promise<void> {
    await this.kill();
    this.run();
  }

  /** Kills it. */
  async kill(): Promise<void> {
    const running = this.process;
    this.process = undefined;
    if (!running || running.exitCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGKILL");
    await ended;
  }

  /** Runs it with the journal that it has. */
  run(): void {
    const file = join(this.directory, "agent.yaml");
    this.process = spawn(program("nodeglass-agent"), ["run", "--data-dir", this.directory, "--config", file], { stdio: "ignore" });
  }

  /** Ends it and leaves nothing. */
  end(): void {
    this.process?.kill("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }
}
