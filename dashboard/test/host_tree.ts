/**
 * A host as files, for an agent with a `host_root`: the composed hosts that the collectors are tested with, put together. It has sixteen
 * cores of which each is busier than the one before, AMD GPUs, containers, sensors, swap and pressure.
 */

import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const FIXTURES = fileURLToPath(new URL("../../crates/nodeglass-collect/fixtures/", import.meta.url));
/** What is laid over what came before. */
const PARTS = ["cgroup-v2/t0", "composed-amd", "composed-server"];
export const CORES = 16;
/** How busy core `n` is, in percent. */
export const busyPercent = (core: number) => core * 6;
/** The kernel counts a hundredth of a second at a time. */
const TICK_MS = 10;
const EVERY_MS = 250;

/** See the file. */
export class HostTree {
  readonly root = mkdtempSync(join(tmpdir(), "nodeglass-host-"));
  private readonly began = Date.now();
  private readonly timer: ReturnType<typeof setInterval>;

  constructor() {
    for (const part of PARTS) cpSync(join(FIXTURES, part), this.root, { recursive: true });
    this.goOn();
    this.timer = setInterval(() => this.goOn(), EVERY_MS);
  }

  /** Its processors' time goes on. */
  private goOn(): void {
    const ticks = (Date.now() - this.began) / TICK_MS;
    const cores = Array.from({ length: CORES }, (_, core) => {
      const busy = Math.round((ticks * busyPercent(core)) / 100);
      return [busy, Math.round(ticks) - busy] as const;
    });
    const line = (name: string, busy: number, idle: number) => `${name} ${1000 + busy} 0 0 ${1000 + idle} 0 0 0 0 0 0\n`;
    const all = cores.reduce(([busy, idle], [its, rest]) => [busy + its, idle + rest] as const, [0, 0] as const);
    const lines = [line("cpu ", ...all), ...cores.map((core, at) => line(`cpu${at}`, ...core))];
    writeFileSync(join(this.root, "proc/stat"), `${lines.join("")}ctxt 1000\nbtime 1763712000\nprocesses 100\n`);
  }

  /** Leaves nothing. */
  end(): void {
    clearInterval(this.timer);
    rmSync(this.root, { recursive: true, force: true });
  }
}
