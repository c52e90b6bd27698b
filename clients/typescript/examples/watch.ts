/** Follows a host on a terminal, until Ctrl-C or so many samples: `NODEGLASS_TOKEN=ngt_... npx tsx examples/watch.ts web-01 10`. */

import { NodeglassClient } from "@nodeglass/client";

const [agent = "vm", most = "Infinity"] = process.argv.slice(2);
const client = new NodeglassClient({
  baseUrl: process.env.NODEGLASS_URL ?? "http://127.0.0.1:7080/api/v1",
  token: process.env.NODEGLASS_TOKEN ?? "",
});

let count = 0;
for await (const { timestamp, cpu, memory } of client.streamMetrics(agent, { interval: 1 })) {
  console.log(new Date(timestamp).toISOString(), `cpu ${cpu?.usage_percent ?? "-"} %`, `memory ${memory?.usage_percent ?? "-"} %`);
  if (++count >= Number(most)) break;
}
