//! The way that a call's parameters are read, for fuzzers and for the test that runs their corpus. Nothing else uses it.

use nodeglass_model::UnixMillis;
use nodeglass_model::selector::Selector;

use crate::api::Parameters;
use crate::glob;

/// The longest query that hyper passes on, and so the longest that there is to read.
const LONGEST: usize = 64 << 10;

/// Reads what stands behind the question mark of a call in every way that calls read it.
pub fn query(text: &str, now: UnixMillis) {
    if text.len() > LONGEST {
        return;
    }
    let Ok(parameters) = Parameters::of_query(text) else {
        return;
    };
    for name in ["start", "end", "at"] {
        let _ = parameters.moment(name, "-1h", now);
    }
    for name in ["metrics", "agents", "sort", "q", "labels"] {
        for entry in parameters.list(name) {
            let _ = Selector::parse(entry.trim_start_matches('-'));
            if entry.len() <= glob::LONGEST {
                glob::finds(entry, "web-01.example.org");
                assert!(glob::fits(entry, entry) || glob::is_pattern(entry));
            }
        }
    }
    for name in ["interval", "max_points", "limit"] {
        let _ = parameters.parsed::<u32>(name, "a number");
    }
    let _ = parameters.only(&["metrics"]);
}
