//! The ledger of one agent: what became of every sample that it took, by its own books and by the store's.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use nodeglass_model::{TimeRange, UnixMillis};
use nodeglass_proto::v1;
use nodeglass_store::Ledger;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Samples of a span this long wait for their acknowledgement now and then without anything being wrong: the last few,
/// and those of a persist interval.
const ON_ITS_WAY: Duration = Duration::from_mins(1);

/// Spans, reasons and codes of one agent, and characters of a text, that are kept: agents of ours have fewer.
const MAX_GAPS: usize = 128;
const MAX_WORDS: usize = 32;
const MAX_TEXT: usize = 200;

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn words(counts: HashMap<String, u64>) -> BTreeMap<String, u64> {
    let counts = counts.into_iter().take(MAX_WORDS);
    counts.map(|(word, count)| (short(&word), count)).collect()
}

/// What an agent last said of its side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentSide {
    /// When it said so, by its clock.
    pub as_of: u64,
    /// Samples taken for the server since the journal was made.
    pub sampled: u64,
    /// Samples taken for the local history.
    pub local: u64,
    /// Of `sampled`, written to disk as they were taken.
    pub journalled: u64,
    /// How often one was sent since the agent started, repetitions included.
    pub sent: u64,
    /// Of `sampled`, stored as the agent knows.
    pub acknowledged: u64,
    /// Of `sampled`, waiting on the agent.
    pub buffered: u64,
    /// Of `sampled`, refused by the server, by code.
    pub rejected: BTreeMap<String, u64>,
    /// Of `sampled`, lost on the agent, by reason.
    pub evicted: BTreeMap<String, u64>,
    /// From the oldest to the newest that wait, roughly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffered_from: Option<u64>,
    /// The end of that span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffered_to: Option<u64>,
    /// Where the journal is.
    pub journal: JournalState,
    /// Spans without samples, the oldest first.
    pub gaps: Vec<Gap>,
}

/// How an agent's journal does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JournalState {
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes in memory, because the disk takes nothing.
    pub memory_bytes: u64,
    /// Files that were damaged and put aside.
    #[serde(default)]
    pub damaged_segments: u64,
    /// Why the disk takes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A span of time without samples, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// `full`, `too_old`, `damaged`: taken and lost. `not_running`, `stopped`: never taken. `waiting`: still on the agent.
    /// `away`: the agent is not connected. `expired`: samples are not kept so long.
    pub reason: String,
    /// Unix milliseconds.
    pub from: u64,
    /// Unix milliseconds.
    pub to: u64,
    /// How many samples, as far as they were taken.
    pub samples: u64,
}

impl AgentSide {
    /// Takes over what a heartbeat says. Gaps are sent only when there is a new one.
    pub fn update(&mut self, heartbeat: v1::Heartbeat) {
        let error = heartbeat.journal_error;
        self.as_of = heartbeat.sent_at;
        self.sampled = heartbeat.sampled;
        self.local = heartbeat.local;
        self.journalled = heartbeat.journalled;
        self.sent = heartbeat.sent;
        self.acknowledged = heartbeat.acknowledged;
        self.buffered = heartbeat.buffered;
        self.rejected = words(heartbeat.rejected_by_code);
        self.evicted = words(heartbeat.evicted_by_reason);
        self.buffered_from = heartbeat.buffered_from;
        self.buffered_to = heartbeat.buffered_to;
        self.journal = JournalState {
            disk_bytes: heartbeat.journal_disk_bytes,
            memory_bytes: heartbeat.journal_memory_bytes,
            damaged_segments: heartbeat.journal_damaged_segments,
            error: (!error.is_empty()).then(|| short(&error)),
        };
        if !heartbeat.gaps.is_empty() {
            let gaps = heartbeat.gaps.into_iter().rev().take(MAX_GAPS);
            self.gaps = gaps.map(Gap::from).collect();
            self.gaps.reverse();
        }
    }

    /// Samples that are gone, whatever the reason.
    fn lost(&self) -> u64 {
        let counts = self.rejected.values().chain(self.evicted.values());
        counts.fold(0, |sum: u64, count| sum.saturating_add(*count))
    }

    /// Samples of which the agent knows what became of them.
    fn known(&self) -> u64 {
        let counts = [self.acknowledged, self.lost(), self.buffered];
        counts.into_iter().fold(0, u64::saturating_add)
    }

    /// Whether the agent's own books add up.
    fn adds_up(&self) -> bool {
        self.sampled == self.known()
    }

    /// Whether samples that wait on the agent may belong to a range.
    pub fn waits_in(&self, range: TimeRange) -> bool {
        self.waiting().is_some_and(|gap| gap.overlaps(range))
    }

    /// What waits on the agent, if that is more than what is always on its way.
    fn waiting(&self) -> Option<Gap> {
        let (from, to) = (self.buffered_from?, self.buffered_to?);
        (to.saturating_sub(from) > ON_ITS_WAY.as_millis() as u64).then(|| Gap {
            reason: "waiting".to_owned(),
            from,
            to,
            samples: self.buffered,
        })
    }

    /// The gaps of a range: what the agent knows of, what still waits there, and, if it is not connected, the time since
    /// its last sample.
    pub fn gaps_in(&self, range: TimeRange, away_since: Option<UnixMillis>, now: UnixMillis) -> Vec<Gap> {
        let away = away_since.map(|since| Gap {
            reason: "away".to_owned(),
            from: since.0.unsigned_abs(),
            to: now.0.unsigned_abs(),
            samples: 0,
        });
        let all = self.gaps.iter().cloned().chain(self.waiting()).chain(away);
        all.filter(|gap| gap.overlaps(range)).collect()
    }
}

impl Gap {
    /// The part of a range whose samples are not kept any more, where they are kept since `since`.
    pub fn expired(range: TimeRange, since: UnixMillis) -> Self {
        Self {
            reason: "expired".to_owned(),
            from: range.start.0.unsigned_abs(),
            to: range.end.min(since).0.unsigned_abs(),
            samples: 0,
        }
    }

    fn overlaps(&self, range: TimeRange) -> bool {
        (self.from as i64) < range.end.0 && self.to as i64 >= range.start.0
    }
}

impl From<v1::Gap> for Gap {
    fn from(gap: v1::Gap) -> Self {
        Self {
            reason: short(&gap.reason),
            from: gap.from,
            to: gap.to,
            samples: gap.samples,
        }
    }
}

/// Both sides, and what follows from them.
#[derive(Debug, Serialize, ToSchema)]
pub struct Statement {
    agent_id: String,
    /// Absent until the agent has said something.
    agent: Option<AgentSide>,
    server: ServerSide,
    balance: Option<Balance>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ServerSide {
    /// Samples in the store, each counted once, those that retention has removed since included.
    stored: u64,
    /// Samples that came again after they were stored.
    duplicate: u64,
    /// Samples refused since the server started, by code.
    #[schema(value_type = BTreeMap<String, u64>)]
    rejected: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Balance {
    sampled: u64,
    /// Stored as far as both sides know; the agent learns of the rest with the next acknowledgement.
    stored: u64,
    /// On the agent, not known to be stored.
    buffered: u64,
    /// Rejected or evicted; the agent's side has the reasons.
    lost: u64,
    /// Samples of which neither side knows what became of them. Anything but 0 is a fault.
    unaccounted: u64,
    /// Whether there is none, and the agent's own books add up.
    balanced: bool,
}

impl Statement {
    /// Puts both sides beside each other.
    pub fn new(
        agent_id: String,
        agent: Option<AgentSide>,
        store: &Ledger,
        rejected: BTreeMap<&'static str, u64>,
    ) -> Self {
        let balance = agent.as_ref().map(|agent| {
            let missing = agent.acknowledged.saturating_sub(store.stored);
            let unaccounted = agent.sampled.abs_diff(agent.known()).saturating_add(missing);
            Balance {
                sampled: agent.sampled,
                stored: agent.acknowledged.min(store.stored),
                buffered: agent.buffered,
                lost: agent.lost(),
                unaccounted,
                balanced: unaccounted == 0 && agent.adds_up(),
            }
        });
        Self {
            agent_id,
            agent,
            server: ServerSide {
                stored: store.stored,
                duplicate: store.duplicate,
                rejected,
            },
            balance,
        }
    }
}

mod wire;

#[cfg(test)]
mod tests {
    use super::*;

    fn side() -> AgentSide {
        AgentSide {
            sampled: 100,
            acknowledged: 80,
            buffered: 15,
            rejected: BTreeMap::from([("invalid_value".to_owned(), 2)]),
            evicted: BTreeMap::from([("full".to_owned(), 3)]),
            buffered_from: Some(5_000),
            buffered_to: Some(66_000),
            gaps: vec![Gap {
                reason: "full".to_owned(),
                from: 1_000,
                to: 2_000,
                samples: 3,
            }],
            ..Default::default()
        }
    }

    fn balance(agent: AgentSide, stored: u64) -> (u64, bool) {
        let store = Ledger {
            stored,
            ..Default::default()
        };
        let balance = Statement::new("host".into(), Some(agent), &store, BTreeMap::new())
            .balance
            .unwrap();
        (balance.unaccounted, balance.balanced)
    }

    #[test]
    fn books_balance_or_say_by_how_much_they_do_not() {
        assert_eq!(balance(side(), 80), (0, true));
        assert_eq!(
            balance(side(), 83),
            (0, true),
            "three acknowledgements are on their way"
        );
        assert_eq!(
            balance(side(), 79),
            (1, false),
            "one was acknowledged that is not stored"
        );
        let short = AgentSide {
            buffered: 14,
            ..side()
        };
        assert_eq!(balance(short, 80), (1, false));
    }

    #[test]
    fn gaps_are_those_of_the_range() {
        let range = |start, end| TimeRange {
            start: UnixMillis(start),
            end: UnixMillis(end),
        };
        let reasons = |range, away| {
            let gaps = side().gaps_in(range, away, UnixMillis(90_000));
            gaps.into_iter().map(|gap| gap.reason).collect::<Vec<_>>()
        };
        assert_eq!(reasons(range(0, 1_000), None), [""; 0]);
        assert_eq!(reasons(range(0, 1_001), None), ["full"]);
        assert_eq!(reasons(range(2_000, 5_001), None), ["full", "waiting"]);
        assert_eq!(reasons(range(66_001, 99_999), Some(UnixMillis(68_000))), ["away"]);
        let steady = AgentSide {
            buffered_from: Some(64_000),
            ..side()
        };
        assert!(
            !steady.waits_in(range(0, 99_999)),
            "two samples on their way are no gap"
        );
        assert!(side().waits_in(range(0, 5_001)) && !side().waits_in(range(0, 5_000)));
    }
}
