//! Exports: every stored sample of some agents, one after the other, as lines.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use nodeglass_model::TimeRange;
use nodeglass_model::selector::Selector;
use nodeglass_store::Position;
use nodeglass_store::tiers::StoredSample;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::Queries;
use crate::error::ApiError;
use crate::live::LiveAgent;
use crate::record::Record;

/// Samples read at a time: some megabytes, and no more than a chunk or two have to be opened for them.
const PAGE: u32 = 500;

/// What is wanted.
#[derive(Debug)]
pub struct ExportQuery {
    /// Of which agents.
    pub agents: Vec<Arc<LiveAgent>>,
    /// Of what time.
    pub range: TimeRange,
    /// Which series; all, and the rest of the samples, if it is empty.
    pub selectors: Vec<Selector>,
}

struct Export {
    queries: Arc<Queries>,
    query: ExportQuery,
    stop: CancellationToken,
    _turn: OwnedSemaphorePermit,
    /// The agent at hand, and how far it is read.
    agent: usize,
    after: Option<Position>,
}

impl Queries {
    /// The samples of agents as lines, an agent after the other and the oldest first, a page at a time and only as fast as they
    /// are taken. After a page that can't be read nothing comes.
    ///
    /// # Errors
    /// There are as many exports under way as there may be.
    pub fn export(
        self: &Arc<Self>,
        query: ExportQuery,
        stop: CancellationToken,
    ) -> Result<impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static + use<>, ApiError> {
        let turn = self.exporting.clone().try_acquire_owned();
        let export = Export {
            queries: self.clone(),
            query,
            stop,
            _turn: turn.map_err(|_| ApiError::Overloaded)?,
            agent: 0,
            after: None,
        };
        Ok(stream::try_unfold(export, async |mut export| {
            Ok(export.next().await?.map(|lines| (lines, export)))
        }))
    }
}

impl Export {
    /// The next page; `None` after the last.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        while let Some(agent) = self.query.agents.get(self.agent) {
            if self.stop.is_cancelled() {
                return Err(ApiError::Overloaded);
            }
            let samples = self.page(agent).await?;
            let Some(last) = samples.last() else {
                self.agent += 1;
                self.after = None;
                continue;
            };
            self.after = Some(last.position());
            let mut lines = Vec::new();
            for stored in &samples {
                let name = agent.id.as_str();
                let record = if self.query.selectors.is_empty() {
                    Some(Record::of(name, stored.id, &stored.sample))
                } else {
                    Record::part_of(name, &stored.sample, &self.query.selectors)
                };
                if let Some(record) = record {
                    serde_json::to_writer(&mut lines, &record)
                        .map_err(|error| ApiError::Internal(error.into()))?;
                    lines.push(b'\n');
                }
                // Others get their turn.
                tokio::task::consume_budget().await;
            }
            if !lines.is_empty() {
                return Ok(Some(lines.into()));
            }
        }
        Ok(None)
    }

    async fn page(&self, agent: &LiveAgent) -> Result<Vec<StoredSample>, ApiError> {
        let Queries { store, reading, .. } = &*self.queries;
        let _turn = reading.acquire().await.map_err(|_| ApiError::Overloaded)?;
        Ok(store
            .samples(agent.key, self.query.range, self.after, PAGE)
            .await?)
    }
}
