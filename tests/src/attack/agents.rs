//! Attacks by agents: enrolled, with a token that is good, and up to no good.

use std::time::Duration;

use nodeglass_agent::identity::Identity;
use nodeglass_chunk::varint::put;
use nodeglass_model::UnixMillis;
use nodeglass_proto::v1;
use nodeglass_proto::v1::agent_message::Message as Up;
use tokio::task::JoinSet;

use super::Attack;
use crate::fake_agent::{FakeAgent, now, sample};

/// What one of them does with its session, message by message.
type Act = fn(u64) -> Up;

/// Kinds of evil, each with its name.
const ACTS: [(&str, Act); 9] = [
    ("heartbeats with news", heartbeat),
    ("samples of empty entries", empty_entries),
    ("samples that unpack to megabytes", bomb),
    ("lies about the size", lie),
    ("names without end", long_names),
    ("ever new devices", new_devices),
    ("samples from next year", from_next_year),
    ("samples of fifty years", of_fifty_years),
    ("descriptions of the host", descriptions),
];

/// An agent that means harm, with its session.
#[derive(Debug)]
pub struct Evil {
    identity: Identity,
    what: &'static str,
    act: Act,
    session: Option<FakeAgent>,
}

/// Opens the session of one agent for each act; identities are those of agents that nothing else is. Each has sent something
/// when this returns: once all attackers are at it, one that comes too late may not come at all.
///
/// # Panics
/// There is no session for one of them.
pub async fn open(identities: Vec<Identity>) -> Vec<Evil> {
    let mut evil = Vec::new();
    for (identity, (what, act)) in identities.into_iter().zip(ACTS) {
        let session = FakeAgent::open(&identity, 1).await.expect("a session");
        session.send_aside(act(0)).await;
        evil.push(Evil {
            identity,
            what,
            act,
            session: Some(session),
        });
    }
    evil
}

/// Lets them go on.
pub fn start(attack: &Attack, attackers: &mut JoinSet<()>, evil: Vec<Evil>) {
    for one in evil {
        let attack = attack.clone();
        let Evil {
            identity,
            what,
            act,
            session: mut first,
        } = one;
        attack.note(what, 1, 0);
        attackers.spawn(async move {
            while !attack.is_over() {
                let (tried, until) = (attack.clone(), attack.until);
                let evil = async {
                    let (mut agent, mut number) = match first.take() {
                        Some(agent) => (agent, 1),
                        None => match FakeAgent::open(&identity, 1).await {
                            Ok(agent) => (agent, 0),
                            Err(_) => return,
                        },
                    };
                    loop {
                        let sending = agent.send_aside(act(number));
                        tokio::select! {
                            ended = agent.next() => {
                                if ended.is_err() {
                                    return;
                                }
                            }
                            () = sending => {
                                tried.note(what, 1, 0);
                                number += 1;
                            }
                        }
                    }
                };
                let ended = tokio::time::timeout_at(until, evil).await;
                attack.note(what, 0, u64::from(ended.is_ok()));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
}

/// How many agents there are.
pub const MANY: usize = ACTS.len();

fn batch(samples: Vec<v1::Sample>, packed: Option<v1::PackedSamples>) -> Up {
    Up::Samples(v1::SampleBatch {
        samples,
        backfill: true,
        packed,
    })
}

fn whole(seq: u64, data: v1::MetricsDataResponse) -> v1::Sample {
    v1::Sample {
        epoch: 1,
        seq,
        data: Some(data),
    }
}

fn heartbeat(number: u64) -> Up {
    let gap = v1::Gap {
        reason: "full".to_owned(),
        from: number,
        to: number + 1,
        samples: 1,
    };
    Up::Heartbeat(v1::Heartbeat {
        gaps: vec![gap; 1000],
        rejected_by_code: (0..1000).map(|code| (code.to_string(), 1)).collect(),
        ..Default::default()
    })
}

fn empty_entries(number: u64) -> Up {
    if number.is_multiple_of(2) {
        return batch(vec![whole(1, v1::MetricsDataResponse::default()); 100_000], None);
    }
    let data = v1::MetricsDataResponse {
        timestamp: now().0.unsigned_abs(),
        disks: vec![v1::DiskMetrics::default(); 500_000],
        ..Default::default()
    };
    batch(vec![whole(number, data)], None)
}

/// What zstd makes of three and a half megabytes of one record's beginning.
fn bomb(_: u64) -> Up {
    // A record that begins anew, with failures, of which there are more than a million without a text.
    let mut record = vec![5, 2, 1, 10, 10, 0, 0];
    put(&mut record, 1_700_000);
    record.resize(3_500_000, 0);
    let mut records = Vec::new();
    put(&mut records, record.len() as u64);
    records.extend(record);
    packed(&records, records.len())
}

fn packed(records: &[u8], claimed: usize) -> Up {
    let small = zstd::bulk::compress(records, 3).expect("it can be compressed");
    let packed = v1::PackedSamples {
        ids: vec![v1::SeqRange {
            epoch: 1,
            first: 1,
            last: 500,
        }],
        records: small,
        unpacked_bytes: claimed as u32,
    };
    batch(Vec::new(), Some(packed))
}

fn lie(number: u64) -> Up {
    let claimed = if number.is_multiple_of(2) {
        u32::MAX as usize
    } else {
        4 << 20
    };
    packed(&vec![0; 3 << 20], claimed)
}

fn long_names(number: u64) -> Up {
    let name = "n".repeat(100_000);
    let data = v1::MetricsDataResponse {
        timestamp: now().0.unsigned_abs(),
        units: vec![v1::UnitMetrics {
            unit: name.clone(),
            failed: Some(1),
        }],
        failures: vec![
            v1::CollectFailure {
                collector: name.clone(),
                reason: name,
            };
            10
        ],
        ..Default::default()
    };
    batch(vec![whole(number + 1, data)], None)
}

fn new_devices(number: u64) -> Up {
    let unit = |device: u64| v1::UnitMetrics {
        unit: format!("{number}-{device}.service"),
        failed: Some(1),
    };
    let data = v1::MetricsDataResponse {
        timestamp: now().0.unsigned_abs(),
        units: (0..4000).map(unit).collect(),
        ..Default::default()
    };
    batch(vec![whole(number + 1, data)], None)
}

fn at(number: u64, timestamp: i64) -> Up {
    batch(
        vec![whole(number + 1, (&sample(UnixMillis(timestamp), 1.0)).into())],
        None,
    )
}

const DAY_MS: i64 = 24 * 3600 * 1000;

fn from_next_year(number: u64) -> Up {
    at(number, now().0 + 365 * DAY_MS)
}

fn of_fifty_years(number: u64) -> Up {
    at(number, now().0 - (number % 18_000) as i64 * DAY_MS)
}

fn descriptions(number: u64) -> Up {
    let interface = v1::NetworkInterface {
        name: format!("eth{number}"),
        ip_addresses: vec!["10.0.0.1".to_owned(); 100],
        ..Default::default()
    };
    Up::System(Box::new(v1::SystemInfoResponse {
        network_interfaces: vec![interface; 100],
        has_network_interfaces: true,
        ..Default::default()
    }))
}
