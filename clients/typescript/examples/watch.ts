/** Follows a host on a terminal: `NODEGLASS_TOKEN=ngt_... node --experimental-strip-types examples/watch.ts web-01`. */

import { NodeglassClient } from "../src/index.ts";

const [agent = "vm"] = process.argv.slice(2);
const client = new NodeglassClient({
  baseUrl: process.env.NODEGLASS_URL ?? "http://127.0.0.1:7080/api/v1",
  token: process.env.NODEGLASS_TOKEN ?? "",
});

for await (const { timestamp, cpu, memory } of client.streamMetrics(agent, { interval: 1 })) {
  console.log(new Date(timestamp).toISOString(), `cpu ${cpu?.usage_percent ?? "-"} %`, `memory ${memory?.usage_percent ?? "-"} %`);
}
