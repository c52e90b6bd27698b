/** Makes a token for a program that may see some hosts, tells hosts apart by labels, and says what was done: `... examples/manage.ts web-01`. */

import { ApiError, NodeglassClient } from "@nodeglass/client";

const [agent = "vm"] = process.argv.slice(2);
const client = new NodeglassClient({
  baseUrl: process.env.NODEGLASS_URL ?? "http://127.0.0.1:7080/api/v1",
  token: process.env.NODEGLASS_TOKEN ?? "",
});

await client.agents.changeLabels(agent, { env: "prod" });
const { agents } = await client.agents.list({ label: ["env=prod"] });
console.log("in production:", agents.map((one) => one.agent_id).join(", "));

try {
  const made = await client.tokens.add({ name: "grafana", role: "viewer", agents: ["env=prod"], expires_in_seconds: 30 * 86_400 });
  console.log("a token, shown this once:", made.token);
} catch (error) {
  if (!(error instanceof ApiError) || error.code !== "name_taken") throw error;
  console.log("there is such a token already:", error.message);
}

for (const entry of (await client.audit.list({ subject: "grafana", limit: 5 })).entries) {
  console.log(new Date(entry.at).toISOString(), entry.name, entry.action, entry.outcome);
}
