//! What a session notes of its agent besides samples: what the host is, whether its clock was set, how the session ended.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_model::system::SystemInfo;
use nodeglass_runtime::telemetry::chain;
use tokio::time::Instant;
use tonic::Code;
use tracing::warn;

use super::{End, Session};
use crate::access::Caller;
use crate::events::Kind;
use crate::ingest;

/// A minute, within which an agent may say [`DESCRIPTIONS`] times what it is.
const DESCRIPTIONS_WITHIN: Duration = Duration::from_mins(1);
/// How often in a minute an agent may say what it is: once in its hello, and once more when it knows how to.
pub(super) const DESCRIPTIONS: u8 = 4;
/// What that may have as JSON, without packages: a host with some hundred disks and interfaces has a third of it.
const MAX_DESCRIPTION_BYTES: usize = 256 << 10;
/// A clock that is off by this much from one sign of life to the next was set. Less may be a word that came late.
const CLOCK_STEP: Duration = Duration::from_secs(5);

impl Session {
    /// Keeps what the agent says that its host is, unless it says it too often or at too great a length.
    pub(super) fn keep_system_info(&mut self, info: SystemInfo) {
        let (left, since) = &mut self.descriptions;
        if since.elapsed() >= DESCRIPTIONS_WITHIN {
            (*left, *since) = (DESCRIPTIONS, Instant::now());
        }
        let json = serde_json::to_string(&info).expect("system information has only text keys");
        if *left == 0 || json.len() > MAX_DESCRIPTION_BYTES {
            self.shared
                .books
                .descriptions_refused
                .fetch_add(1, Ordering::Relaxed);
            return;
        }
        *left -= 1;
        self.agent.describe(info);
        let (store, agent) = (self.shared.store.clone(), self.agent.clone());
        self.shared
            .tasks
            .spawn_transient("system information", async move {
                // It comes again with the next session, so one try is enough.
                if let Err(error) = store.save_system_info(agent.key, &json).await {
                    warn!(agent = %agent.id, error = %chain(&error), "system information is not kept");
                }
            });
    }

    /// Looks whether the agent's clock went on as time did. Ours is not asked: it may have been set as well.
    pub(super) fn watch_clock(&mut self, said: u64) {
        let now = Instant::now();
        let before = self.clock.replace((said, now));
        let Some((before, at)) = before.filter(|(before, _)| *before > 0 && said > 0) else {
            return;
        };
        let passed = i64::try_from(now.duration_since(at).as_millis()).unwrap_or(i64::MAX);
        let by_ms = (said as i64).wrapping_sub(before as i64).saturating_sub(passed);
        if by_ms.unsigned_abs() >= CLOCK_STEP.as_millis() as u64 {
            let agent_time = UnixMillis(said as i64);
            self.shared
                .registry
                .note_clock_step(&self.agent, by_ms, agent_time);
        }
    }

    /// Notes how the session ended, unless it was for a reason that is noted elsewhere.
    pub(super) fn note_end(&self, end: &End) {
        // Another agent's name, a copy, a key that was revoked meanwhile.
        self.shared
            .denied(&Caller::agent(self.agent.id.as_str(), None), ingest::SESSION, end);
        let is_ours = self.shared.tasks.shutdown_token().is_cancelled()
            || self.agent.gone().is_cancelled()
            || self.agent.session().is_none_or(|open| open.number != self.number);
        if is_ours {
            return;
        }
        let kind = match end.code() {
            Code::Ok => Kind::Disconnected,
            _ => Kind::Lost,
        };
        let reason: String = end.message().chars().take(200).collect();
        let detail = serde_json::json!({ "reason": reason });
        self.shared.registry.events().note(&self.agent, kind, &detail);
    }
}
