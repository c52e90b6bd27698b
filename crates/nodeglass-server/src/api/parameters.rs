//! Parameters of calls: the agent in the path, and those after the question mark, of which unknown ones are refused, so
//! that a slip of the pen is not an unnoticed default.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use http::Uri;
use http::request::Parts;
use nodeglass_model::{TimeRange, UnixMillis};

use super::Api;
use crate::access::Caller;
use crate::error::ApiError;

/// The agent that a path names.
#[derive(Debug)]
pub(super) struct AgentName(pub(super) String);

impl FromRequestParts<Api> for AgentName {
    type Rejection = Response;

    /// A name that an agent had before leads to the one that it has now.
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Response> {
        let path = Path::<String>::from_request_parts(parts, api).await;
        let Path(name) = path.map_err(|error| wrong("agent", error.body_text()).into_response())?;
        if api.queries.live().renamed(&name).is_none() {
            return Ok(Self(name));
        }
        // Another host may have been enrolled under it meanwhile.
        let renamed = api.queries.agents().await.renamed(&name);
        let caller = parts.extensions.get::<Caller>();
        match renamed.filter(|agent| caller.is_some_and(|caller| caller.may_see(agent))) {
            Some(agent) => Err(Redirect::permanent(&moved(&parts.uri, agent.id.as_str())).into_response()),
            None => Ok(Self(name)),
        }
    }
}

/// A call's address with another agent's name in it.
fn moved(uri: &Uri, name: &str) -> String {
    let mut parts: Vec<&str> = uri.path().split('/').collect();
    if let Some(at) = parts.iter().position(|part| *part == "agents")
        && let Some(before) = parts.get_mut(at + 1)
    {
        *before = name;
    }
    let query = uri.query().map(|query| format!("?{query}"));
    format!("{}{}", parts.join("/"), query.unwrap_or_default())
}

/// Whatever else a path names.
#[derive(Debug)]
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(name)| Self(name))
            .map_err(|error| wrong("name", error.body_text()))
    }
}

/// The parameters of one call.
#[derive(Debug)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of_uri(&parts.uri)
    }
}

impl Parameters {
    /// Those of a query, as it stands behind the question mark.
    pub(crate) fn of_query(query: &str) -> Result<Self, ApiError> {
        let uri = format!("/?{query}").parse::<Uri>();
        Self::of_uri(&uri.map_err(|error| wrong("query", error.to_string()))?)
    }

    fn of_uri(uri: &Uri) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| wrong("query", error.body_text()))?;
        let mut all = BTreeMap::new();
        for (name, value) in pairs {
            if all.insert(name.clone(), value).is_some() {
                return Err(wrong(
                    "query",
                    format!("{name:?} is given twice: give it once, values separated by commas"),
                ));
            }
        }
        Ok(Self(all))
    }
}

impl Parameters {
    /// Parameters of a test's own.
    #[cfg(test)]
    pub(super) fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(pairs.into_iter().map(owned).collect())
    }

    /// Refuses parameters that are not among `known`.
    pub(crate) fn only(self, known: &[&'static str]) -> Result<Self, ApiError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(self),
            Some(unknown) => {
                let unknown: String = unknown.chars().take(40).collect();
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                Err(wrong(
                    "query",
                    format!("there is no parameter {unknown:?}; there are: {known}"),
                ))
            }
        }
    }

    /// A parameter as it was written; an empty one counts as absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// A parameter that is read in some way.
    pub(crate) fn parsed<T: FromStr>(&self, name: &'static str, expected: &str) -> Result<Option<T>, ApiError>
    where
        T::Err: Display,
    {
        let read = |text: &str| {
            text.parse().map_err(|_| {
                let text: String = text.chars().take(40).collect();
                wrong(name, format!("{text:?} is not {expected}"))
            })
        };
        self.text(name).map(read).transpose()
    }

    /// A moment: seconds, milliseconds, RFC 3339, `now`, or relative to it (`-1h`).
    pub(crate) fn moment(
        &self,
        name: &'static str,
        default: &str,
        now: UnixMillis,
    ) -> Result<UnixMillis, ApiError> {
        let text = self.text(name).unwrap_or(default);
        UnixMillis::parse(text, now).map_err(|error| wrong(name, error.to_string()))
    }

    /// A span of time, from `start`, or a moment by default, to `end`, or now.
    pub(super) fn range(&self, start: &str, now: UnixMillis) -> Result<TimeRange, ApiError> {
        let range = TimeRange {
            start: self.moment("start", start, now)?,
            end: self.moment("end", "now", now)?,
        };
        if range.start >= range.end {
            return Err(wrong("end", "it is not after start".to_owned()));
        }
        Ok(range)
    }

    /// A list separated by commas.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let entries = self.text(name).unwrap_or_default().split(',').map(str::trim);
        entries.filter(|entry| !entry.is_empty()).collect()
    }
}

pub(super) fn wrong(name: &'static str, problem: String) -> ApiError {
    ApiError::Parameter { name, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_name_is_replaced_and_nothing_else() {
        let lead = |uri: &str| moved(&uri.parse().unwrap(), "new");
        assert_eq!(
            lead("/api/v1/agents/old/metrics?hours=1"),
            "/api/v1/agents/new/metrics?hours=1"
        );
        assert_eq!(lead("/api/agents/ol%64"), "/api/agents/new");
    }
}
