//! Which form of an answer a client wants: its `Accept` and `Accept-Encoding`.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};
use nodeglass_collect::exposition::Format;

/// A form that an answer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For Prometheus.
    Metrics(Format),
    /// For everybody else.
    Json,
}

impl Form {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Metrics(format) => format.content_type(),
            Self::Json => "application/json",
        }
    }

    /// How closely a range of types names this form, 0 for `*/*`; `None` if it does not.
    fn closeness(self, range: &str, version: Option<&str>) -> Option<u8> {
        let (kind, subkind, versions) = match self {
            Self::Metrics(Format::Text) => ("text", "plain", Some("0.0.4")),
            Self::Metrics(Format::OpenMetrics) => ("application", "openmetrics-text", Some("1.0.0")),
            Self::Json => ("application", "json", None),
        };
        let (range_kind, range_subkind) = range.split_once('/')?;
        match (range_kind, range_subkind) {
            ("*", "*") => Some(0),
            (range, "*") if range.eq_ignore_ascii_case(kind) => Some(1),
            (range, subrange) => {
                let is_it = range.eq_ignore_ascii_case(kind) && subrange.eq_ignore_ascii_case(subkind);
                let has_version = version.is_none() || versions.is_none() || version == versions;
                (is_it && has_version).then_some(2)
            }
        }
    }
}

/// The form that the client likes best; the first that is offered if it likes several alike. `None` if it takes none.
pub(super) fn choose(headers: &HeaderMap, offers: &[Form]) -> Option<Form> {
    let accepted = joined(headers, &ACCEPT);
    if accepted.trim().is_empty() {
        return offers.first().copied();
    }
    let liking = |form: Form| {
        let mut closest: Option<(u8, Liking)> = None;
        for (place, range) in accepted.split(',').enumerate() {
            let mut parts = range.split(';').map(str::trim);
            let Some(closeness) =
                form.closeness(parts.next().unwrap_or_default(), parameter(range, "version"))
            else {
                continue;
            };
            let own = Liking {
                quality: quality(range),
                closeness,
                earliness: usize::MAX - place,
            };
            // The range that names a form most closely is the one that counts for it.
            if closest
                .is_none_or(|(before, liking)| closeness > before || (closeness == before && own > liking))
            {
                closest = Some((closeness, own));
            }
        }
        closest
            .map(|(_, liking)| liking)
            .filter(|liking| liking.quality > 0)
    };
    let mut best: Option<(Liking, Form)> = None;
    for form in offers {
        if let Some(liking) = liking(*form)
            && best.is_none_or(|(before, _)| liking > before)
        {
            best = Some((liking, *form));
        }
    }
    best.map(|(_, form)| form)
}

/// How much a client likes a form: first by what it says, then by how closely and how early it says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Liking {
    /// In thousandths.
    quality: u16,
    closeness: u8,
    earliness: usize,
}

/// Whether the client takes gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = joined(headers, &ACCEPT_ENCODING);
    let quality_of = |name: &str| {
        let named = |coding: &&str| {
            coding
                .split(';')
                .next()
                .is_some_and(|own| own.trim().eq_ignore_ascii_case(name))
        };
        accepted.split(',').find(named).map(quality)
    };
    quality_of("gzip")
        .or_else(|| quality_of("*"))
        .is_some_and(|quality| quality > 0)
}

/// All headers of a name as one list; what is not text is left out.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let texts: Vec<&str> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    texts.join(",")
}

/// The value of a parameter behind a `;`.
fn parameter<'a>(entry: &'a str, wanted: &str) -> Option<&'a str> {
    entry.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.trim().trim_matches('"'))
    })
}

/// The `q` of an entry in thousandths; 1000 without one, and 0 for one that makes no sense.
fn quality(entry: &str) -> u16 {
    parameter(entry, "q").map_or(1000, |quality| {
        let quality = quality
            .parse::<f64>()
            .ok()
            .filter(|quality| (0.0..=1.0).contains(quality));
        (quality.unwrap_or_default() * 1000.0).round() as u16
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: Form = Form::Metrics(Format::Text);
    const OPEN: Form = Form::Metrics(Format::OpenMetrics);
    const ALL: [Form; 3] = [TEXT, OPEN, Form::Json];

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn each_client_gets_what_it_likes_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, form) in [
            ("", Some(TEXT)),
            ("*/*", Some(TEXT)),
            (prometheus, Some(OPEN)),
            (
                "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.3",
                Some(TEXT),
            ),
            ("application/openmetrics-text", Some(OPEN)),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Some(TEXT),
            ),
            ("application/json", Some(Form::Json)),
            ("application/json, text/plain, */*", Some(Form::Json)),
            ("text/plain;q=0.2, application/json;q=0.9", Some(Form::Json)),
            ("text/*", Some(TEXT)),
            ("application/*", Some(OPEN)),
            ("APPLICATION/JSON", Some(Form::Json)),
            (
                "*/*, text/plain;q=0, application/openmetrics-text;q=0",
                Some(Form::Json),
            ),
            ("text/plain;version=0.0.5", None),
            ("image/png", None),
            ("*/*;q=0", None),
            ("application/json;q=2", None),
        ] {
            assert_eq!(choose(&headers(ACCEPT, accept), &ALL), form, "{accept}");
        }
        assert_eq!(choose(&headers(ACCEPT, "text/plain"), &[Form::Json]), None);
        assert_eq!(choose(&HeaderMap::new(), &[Form::Json]), Some(Form::Json));
    }

    #[test]
    fn gzip_is_for_those_who_ask_for_it() {
        for accepted in ["gzip", "deflate, gzip;q=0.5", "*", "br, GZIP"] {
            assert!(takes_gzip(&headers(ACCEPT_ENCODING, accepted)), "{accepted}");
        }
        for accepted in ["", "identity", "gzip;q=0, *", "br", "*;q=0"] {
            assert!(!takes_gzip(&headers(ACCEPT_ENCODING, accepted)), "{accepted}");
        }
    }

    proptest! {
        #[test]
        fn any_header_can_be_read(value in "[ -~]{0,60}") {
            let _ = choose(&headers(ACCEPT, &value), &ALL);
            let _ = takes_gzip(&headers(ACCEPT_ENCODING, &value));
        }
    }
}
