/**
 * A host as files, for an agent with a `host_root`: the composed hosts that the collectors are tested with, put together. It has sixteen
 * cores of which each is busier than the one before, AMD GPUs, containers, sensors, swap and pressure.
 */

import { closeSync, cpSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
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
/** Where its counters begin, so that none grows by a digit while it runs. */
const FIRST_TICKS = 1_000_000_000;

/** See the file. */
export class HostTree {
  readonly root = mkdtempSync(join(tmpdir(), "nodeglass-host-"));
  private readonly began = Date.now();
  private readonly timer: ReturnType<typeof setInterval>;
  private readonly stat: number;

  constructor() {
    for (const part of PARTS) cpSync(join(FIXTURES, part), this.root, { recursive: true });
    const file = join(this.root, "proc/stat");
    writeFileSync(file, "");
    this.stat = openSync(file, "r+");
    this.goOn();
    this.timer = setInterval(() => this.goOn(), EVERY_MS);
  }

  /**
   * Its processors' time goes on. The new text, as long as the old, is written over it at once: the agent keeps the file open, and must
   * never find it empty as it would be while a file is written anew.
   */
  private goOn(): void {
    const ticks = (Date.now() - this.began) / TICK_MS;
    const cores = Array.from({ length: CORES }, (_, core) => {
      const busy = Math.round((ticks * busyPercent(core)) / 100);
      return [busy, Math.round(ticks) - busy] as const;
    });
    const line = (name: string, busy: number, idle: number) => `${name} ${FIRST_TICKS + busy} 0 0 ${FIRST_TICKS + idle} 0 0 0 0 0 0\n`;
    const all = cores.reduce(([busy, idle], [its, rest]) => [busy + its, idle + rest] as const, [0, 0] as const);
    const lines = [line("cpu ", ...all), ...cores.map((core, at) => line(`cpu${at}`, ...core))];
    writeSync(this.stat, `${lines.join("")}ctxt 1000\nbtime 1763712000\nprocesses 100\n`, 0);
  }

  /** Leaves nothing. */
  end(): void {
    clearInterval(this.timer);
    closeSync(this.stat);
    rmSync(this.root, { recursive: true, force: true });
  }
}
