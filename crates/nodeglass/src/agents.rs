//! `nodeglass agents`

use clap::Args;
use nodeglass_model::Sample;
use nodeglass_proto::v1::ListAgentsRequest;
use serde_json::json;

use crate::client::{Server, refused};
use crate::print::{moment, table, value};

/// List the agents of a server with what they do now.
#[derive(Debug, Args)]
pub(crate) struct Agents {
    #[command(flatten)]
    server: Server,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Agents {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let answer = self
            .server
            .connect()
            .await?
            .list_agents(ListAgentsRequest {})
            .await
            .map_err(refused)?;
        let agents = answer.into_inner().agents.into_iter().map(|agent| {
            let sample = agent.metrics.and_then(|metrics| Sample::try_from(metrics).ok());
            let status = if agent.connected {
                "connected"
            } else {
                "disconnected"
            };
            (agent.agent_id, status, agent.last_metrics_update, sample)
        });
        if self.json {
            let all: Vec<_> = agents
                .map(|(id, status, update, metrics)| {
                    json!({ "agent_id": id, "status": status, "last_metrics_update": update, "metrics": metrics })
                })
                .collect();
            println!("{}", serde_json::to_string_pretty(&json!({ "agents": all }))?);
            return Ok(());
        }
        let mut rows = vec![
            ["AGENT", "STATUS", "LAST UPDATE", "CPU", "MEMORY", "LOAD"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(agents.map(|(id, status, update, sample)| {
            let sample = sample.unwrap_or_default();
            vec![
                id,
                status.to_owned(),
                moment(update),
                value("cpu.usage_percent", sample.cpu.usage_percent),
                value("memory.usage_percent", sample.memory.usage_percent),
                value("load.load1", sample.load.load1),
            ]
        }));
        table(&rows);
        if rows.len() == 1 {
            println!("no agents yet: `nodeglass-server agent add NAME` makes one");
        }
        Ok(())
    }
}
