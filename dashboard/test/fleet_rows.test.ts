/** What the fleet's rows show and in which order, without a page. */

import type { FleetChange, NodeglassClient } from "@nodeglass/client";
import { expect, test } from "vitest";
import { arrange } from "../src/fleet/arrange.ts";
import { type Trouble, judge } from "../src/fleet/health.ts";
import { FIGURES, Fleet, type Host } from "../src/fleet/store.ts";
import { described } from "../src/fleet/Why.tsx";

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
    agents: { list: () => Promise.resolve({ agents: [] }) },
    getFleetHistory: () => Promise.resolve({ agents: [] }),
    getFleetEvents: () => Promise.resolve({ events: [] }),
    getLatest: () => Promise.resolve({ agents: [] }),
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

/** A host with these figures, judged after so many samples of them. */
async function judged(values: Record<string, number>, more: Partial<Host> = {}): Promise<Host> {
  const hosts = await told(Array.from({ length: 12 }, () => ({ a: values })));
  const host = Object.assign(hosts.get("a") as Host, more);
  judge(host, host.heard ?? 0);
  return host;
}

test.each([
  ["CPU", { [FIGURES.cpu]: 84.9 }, { [FIGURES.cpu]: 85 }, { [FIGURES.cpu]: 95 }],
  ["memory", { [FIGURES.memory]: 84.9 }, { [FIGURES.memory]: 85 }, { [FIGURES.memory]: 95 }],
  ["disk", { [FIGURES.disk]: 84.9 }, { [FIGURES.disk]: 85 }, { [FIGURES.disk]: 95 }],
  ["swap", { [FIGURES.swap]: 59.9 }, { [FIGURES.swap]: 60 }, { [FIGURES.swap]: 90 }],
  ["CPU pressure", { [FIGURES.cpuWait]: 59 }, { [FIGURES.cpuWait]: 60 }, { [FIGURES.cpuWait]: 90 }],
  ["memory pressure", { [FIGURES.memoryWait]: 9 }, { [FIGURES.memoryWait]: 10 }, { [FIGURES.memoryWait]: 40 }],
  ["I/O pressure", { [FIGURES.ioWait]: 29 }, { [FIGURES.ioWait]: 30 }, { [FIGURES.ioWait]: 70 }],
  ["temperature", { [FIGURES.temperature]: 84 }, { [FIGURES.temperature]: 85 }, { [FIGURES.temperature]: 95 }],
  // Of four cores.
  ["load", { [FIGURES.load]: 7.9 }, { [FIGURES.load]: 8 }, { [FIGURES.load]: 16 }],
] as const)("%s tells a host apart from its limit on, and its row says so", async (word, ok, warm, hot) => {
  const stands = async (values: Record<string, number>) => {
    const { health, troubles } = await judged(values, { cores: 4 });
    return [health, ...troubles.map((one) => one.word)];
  };
  expect(await stands(ok)).toEqual(["ok"]);
  expect(await stands(warm)).toEqual(["warm", word]);
  expect(await stands(hot)).toEqual(["hot", word]);
});

test("a load without a number of cores, and figures that are not there, are no trouble", async () => {
  expect((await judged({ [FIGURES.load]: 90 })).troubles).toEqual([]);
  expect((await judged({})).health).toBe("ok");
});

test("silence and losses tell a host apart", async () => {
  const host = await judged({ [FIGURES.cpu]: 5 });
  const after = (ms: number) => {
    judge(host, (host.heard ?? 0) + ms);
    return [host.health, host.troubles[0]?.word];
  };
  expect(after(14_000)).toEqual(["ok", undefined]);
  expect(after(15_000)).toEqual(["warm", "silent"]);
  expect(after(60_000)).toEqual(["hot", "silent"]);
  // Whoever reports once in a minute is not silent between.
  host.everyMs = 60_000;
  expect(after(200_000)).toEqual(["ok", undefined]);
  host.lostSamples = 7;
  expect(after(0)).toEqual(["warm", "losses"]);
  expect(described(host.troubles[0] as Trouble)).toBe("losses 7: warm, samples lost in the last hour");
});

test("the worst stand first: lost, then hot, then warm, and the worst of each kind before the others", async () => {
  const hosts = [
    await judged({ [FIGURES.cpu]: 40 }),
    await judged({ [FIGURES.memory]: 86 }),
    await judged({ [FIGURES.memoryWait]: 80 }),
    await judged({ [FIGURES.disk]: 96 }),
    await judged({ [FIGURES.cpu]: 5 }, { isConnected: false }),
    await judged({ [FIGURES.cpu]: 5 }),
  ];
  for (const [at, host] of hosts.entries()) host.id = `h${at}`;
  const rows = arrange(hosts, { search: "", sort: "worst", isTurned: false, group: "", health: "" });
  expect(rows.map((row) => "host" in row && row.host.id)).toEqual(["h4", "h2", "h3", "h1", "h0", "h5"]);
  // Beside the worst, what else is the matter.
  const both = await judged({ [FIGURES.disk]: 90, [FIGURES.memory]: 99 });
  expect(both.troubles.map(described)).toEqual(["memory 99.0\u202f%: hot, 95 % and more", "disk 90.0\u202f%: warm, 85 % and more"]);
});
