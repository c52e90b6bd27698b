/** What the fleet's rows show and in which order, without a page. */

import type { FleetChange, NodeglassClient } from "@nodeglass/client";
import { expect, test } from "vitest";
import { arrange } from "../src/fleet/arrange.ts";
import { FIGURES, Fleet, type Host } from "../src/fleet/store.ts";

/** A fleet that was told of hosts by a server that says these changes, one after the other. */
async function told(changes: Record<string, Record<string, number>>[]): Promise<Map<string, Host>> {
  let end = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const client = {
    async *streamOverview() {
      for (const [second, hosts] of changes.entries()) {
        const agents = Object.entries(hosts).map(([agent_id, values]) => ({ agent_id, connected: true, timestamp: second, values }));
        yield await Promise.resolve({ full: second === 0, agents } as FleetChange);
      }
      end();
    },
    listAgents: () => Promise.resolve({ agents: [] }),
    getFleetHistory: () => Promise.resolve({ agents: [] }),
  } as unknown as NodeglassClient;
  const fleet = new Fleet(client);
  const forget = fleet.subscribe(() => {});
  await ended;
  forget();
  return fleet.hosts;
}

test("a moment's peak does not tell a host apart, a busy quarter of a minute does", async () => {
  const busy = { [FIGURES.cpu]: 99 };
  const idle = { [FIGURES.cpu]: 5 };
  const changes = Array.from({ length: 12 }, (_, second) => ({ peak: second === 11 ? busy : idle, busy, full: { [FIGURES.memory]: 97 } }));
  const hosts = await told(changes);
  const health = (name: string) => hosts.get(name)?.health;
  expect([health("peak"), health("busy"), health("full")]).toEqual(["ok", "hot", "hot"]);
});

test("small charts have what their figures come to, and nothing where there is nothing", async () => {
  const hosts = await told([{ a: { [FIGURES.read]: 2, [FIGURES.write]: 3, [FIGURES.load]: 0.5 } }]);
  const last = (chart: "io" | "load" | "gpu" | "network") => hosts.get("a")?.rings[chart].at(59);
  expect([last("io"), last("load"), last("gpu"), last("network")]).toEqual([5, 0.5, Number.NaN, Number.NaN]);
});

test("loads below one are told apart in sorting", async () => {
  const hosts = await told([{ a: { [FIGURES.load]: 0.6 }, b: { [FIGURES.load]: 1.4 }, c: { [FIGURES.load]: 0.9 } }]);
  const rows = arrange(hosts.values(), { search: "", sort: "load", isTurned: false, group: "", health: "" });
  expect(rows.map((row) => "host" in row && row.host.id)).toEqual(["b", "c", "a"]);
});
