//! What readers want of each sample, and its text: made once for each sample, however many readers want the same.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use bytes::Bytes;
use nodeglass_model::AgentId;
use nodeglass_model::filter::MetricFilter;
use nodeglass_model::selector::Selector;

use crate::error::ApiError;
use crate::live::{LiveSample, named};

/// Names of metrics that one reader may give.
const MAX_NAMES: usize = 50;
/// What the overview shows of each agent unless a reader says otherwise: what a list of hosts shows.
const USUAL: [&str; 6] = [
    "cpu.usage_percent",
    "memory.usage_percent",
    "disk.usage_percent",
    "network.bytes_recv_per_sec",
    "network.bytes_sent_per_sec",
    "load.load1",
];

/// What a reader wants of each sample. Readers who want the same share it, and with it the texts.
#[derive(Debug)]
pub struct View {
    number: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The sample as it is.
    Whole,
    /// The sample, with the metrics alone that the filter keeps.
    Part(MetricFilter),
    /// Some figures by name, in one short line.
    Figures(Vec<Selector>),
}

/// The views that readers have now, by what was asked for.
static KNOWN: LazyLock<Mutex<HashMap<String, Weak<View>>>> = LazyLock::new(Mutex::default);
/// Numbers are not used again: texts that were made for a view that is gone are nobody's.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl View {
    /// Samples with the metrics that these patterns name, `cpu` or `cpu.usage_percent`; whole ones if there are none.
    ///
    /// # Errors
    /// A pattern that fits no metric, or too many of them.
    pub fn samples(patterns: &[&str]) -> Result<Arc<Self>, ApiError> {
        check_count(patterns)?;
        if patterns.is_empty() {
            return shared(String::new(), || Ok(What::Whole));
        }
        shared(format!("part {}", patterns.join(",")), || {
            let owned: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            filter(&owned).map(What::Part)
        })
    }

    /// These series alone, as `values` by name; the usual ones if there are none.
    ///
    /// # Errors
    /// A series of no metric, or too many of them.
    pub fn figures(names: &[&str]) -> Result<Arc<Self>, ApiError> {
        check_count(names)?;
        let names = if names.is_empty() { &USUAL[..] } else { names };
        shared(format!("figures {}", names.join(",")), || {
            let selectors = names.iter().map(|name| Selector::parse(name));
            let selectors: Result<Vec<_>, _> = selectors.collect();
            selectors
                .map(What::Figures)
                .map_err(|unknown| ApiError::Query(unknown.into()))
        })
    }

    /// The text of a sample: a JSON object that begins with the agent's name.
    pub fn text(&self, agent: &AgentId, live: &LiveSample) -> Bytes {
        match &self.what {
            What::Whole => live.snapshot(agent),
            What::Part(filter) => live.seen_as(self.number, || {
                let mut sample = live.sample().clone();
                filter.apply(&mut sample);
                let json = serde_json::to_vec(&sample).expect("a sample has only text keys");
                named(agent, &json)
            }),
            What::Figures(selectors) => live.seen_as(self.number, || {
                let mut text = format!(
                    "{{\"agent_id\":\"{agent}\",\"connected\":true,\"timestamp\":{},\"values\":{{",
                    live.timestamp.0
                );
                let mut gap = "";
                for selector in selectors {
                    selector.each(live.sample(), |name, value| {
                        let name = serde_json::Value::from(name);
                        write!(text, "{gap}{name}:{value}").expect("text can be written to");
                        gap = ",";
                    });
                }
                text.push_str("}}");
                text.into()
            }),
        }
    }
}

/// The metrics that these patterns name; all if there are none.
///
/// # Errors
/// A pattern that fits no metric.
pub(crate) fn filter(patterns: &[String]) -> Result<MetricFilter, ApiError> {
    MetricFilter::new(patterns, &[]).map_err(|unknown| ApiError::Parameter {
        name: "metrics",
        problem: unknown
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    })
}

fn check_count(names: &[&str]) -> Result<(), ApiError> {
    if names.len() <= MAX_NAMES {
        return Ok(());
    }
    Err(ApiError::Parameter {
        name: "metrics",
        problem: format!(
            "{} names are too many for a stream; at most {MAX_NAMES}",
            names.len()
        ),
    })
}

fn shared(asked: String, make: impl FnOnce() -> Result<What, ApiError>) -> Result<Arc<View>, ApiError> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(view) = known.get(&asked).and_then(Weak::upgrade) {
        return Ok(view);
    }
    known.retain(|_, view| view.strong_count() > 0);
    let view = Arc::new(View {
        number: NEXT.fetch_add(1, Ordering::Relaxed),
        what: make()?,
    });
    known.insert(asked, Arc::downgrade(&view));
    Ok(view)
}

#[cfg(test)]
mod tests {
    use nodeglass_model::sample::CoreMetrics;
    use nodeglass_model::{Sample, UnixMillis};

    use super::*;

    fn live() -> LiveSample {
        let mut sample = Sample {
            timestamp: UnixMillis(5),
            ..Default::default()
        };
        sample.cpu.usage_percent = Some(12.5);
        sample.memory.usage_percent = Some(40.0);
        sample.cpu.cores.push(CoreMetrics {
            usage_percent: Some(1.0),
            ..Default::default()
        });
        LiveSample::new(sample, None, 1, 1)
    }

    #[test]
    fn readers_who_want_the_same_have_the_same_bytes() {
        let (live, agent) = (live(), "host".parse().unwrap());
        let view = View::samples(&["cpu.usage_percent"]).unwrap();
        let other = View::samples(&["cpu.usage_percent"]).unwrap();
        assert!(Arc::ptr_eq(&view, &other));
        let text = view.text(&agent, &live);
        assert_eq!(
            text,
            r#"{"agent_id":"host","timestamp":5,"cpu":{"usage_percent":12.5}}"#
        );
        assert_eq!(text.as_ptr(), other.text(&agent, &live).as_ptr(), "made once");
        assert_eq!(
            View::samples(&[]).unwrap().text(&agent, &live),
            live.snapshot(&agent)
        );
        let figures = View::figures(&["cpu.core_usage@*", "memory.usage_percent"]).unwrap();
        assert_eq!(
            figures.text(&agent, &live),
            r#"{"agent_id":"host","connected":true,"timestamp":5,"values":{"cpu.core_usage@0":1,"memory.usage_percent":40}}"#
        );
    }

    #[test]
    fn what_no_metric_is_called_is_refused() {
        assert!(View::samples(&["cpu.usage_percnt"]).is_err());
        assert!(View::figures(&["cpu"]).is_err());
        assert!(View::samples(&["cpu"; 51]).is_err());
    }
}
