//! A statement in the wire's types.

use std::collections::{BTreeMap, HashMap};

use nodeglass_proto::v1;

use super::{AgentSide, Balance, Gap, ServerSide, Statement};

impl From<Statement> for v1::LedgerResponse {
    fn from(statement: Statement) -> Self {
        let Statement {
            agent_id,
            agent,
            server,
            balance,
        } = statement;
        Self {
            agent_id,
            agent: agent.map(Into::into),
            server: Some(server.into()),
            balance: balance.map(Into::into),
        }
    }
}

fn counts<K: Into<String>>(counts: BTreeMap<K, u64>) -> HashMap<String, u64> {
    counts
        .into_iter()
        .map(|(word, count)| (word.into(), count))
        .collect()
}

impl From<AgentSide> for v1::LedgerAgentSide {
    fn from(side: AgentSide) -> Self {
        Self {
            as_of: side.as_of,
            sampled: side.sampled,
            acknowledged: side.acknowledged,
            buffered: side.buffered,
            rejected: counts(side.rejected),
            evicted: counts(side.evicted),
            gaps: side.gaps.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<ServerSide> for v1::LedgerServerSide {
    fn from(side: ServerSide) -> Self {
        Self {
            stored: side.stored,
            duplicate: side.duplicate,
            rejected: counts(side.rejected),
        }
    }
}

impl From<Balance> for v1::LedgerBalance {
    fn from(balance: Balance) -> Self {
        Self {
            sampled: balance.sampled,
            stored: balance.stored,
            buffered: balance.buffered,
            lost: balance.lost,
            unaccounted: balance.unaccounted,
            balanced: balance.balanced,
        }
    }
}

impl From<Gap> for v1::Gap {
    fn from(gap: Gap) -> Self {
        Self {
            reason: gap.reason,
            from: gap.from,
            to: gap.to,
            samples: gap.samples,
        }
    }
}
