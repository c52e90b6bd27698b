//! What a call shows for who makes it: a token in its header, a ticket in the address of a stream, or a session's cookie.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri, header};

use super::Caller;
use crate::error::ApiError;
use crate::identity::Identity;
use crate::identity::IdentityError;
use crate::identity::cookies::Foreign;
use crate::tokens;

/// The parameter with a ticket.
const TICKET: &str = "ticket";
/// Paths that a ticket opens end so.
const STREAMS: [&str; 2] = ["/stream", "/ws"];

/// What is known of a call before its caller is.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its address.
    pub uri: &'a Uri,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// From where it comes.
    pub address: Option<IpAddr>,
    /// Its number.
    pub request_id: Option<&'a Arc<str>>,
}

impl Call<'_> {
    /// Whom it is for: the host, and the port if it says one.
    pub fn host(&self) -> Option<&str> {
        host(self.uri, self.headers)
    }

    /// Nobody in particular, who makes this call.
    pub fn nobody(&self) -> Caller {
        Caller::nobody(self.address, self.request_id.cloned())
    }

    /// Who makes it.
    ///
    /// # Errors
    /// It shows nothing, or nothing that is good; or only a cookie, where another site may have sent it.
    pub async fn caller(&self, identity: &Identity) -> Result<Caller, ApiError> {
        let found = self.find(identity).await?;
        Ok(found.in_call(self.address, self.request_id.cloned()))
    }

    async fn find(&self, identity: &Identity) -> Result<Caller, ApiError> {
        if let Some(token) = bearer(self.headers)? {
            return identity.directory.by_token(tokens::hash(token)).await;
        }
        if let Some(ticket) = ticket(self.method, self.uri) {
            return Ok(identity
                .tickets
                .redeem(ticket)
                .ok_or(IdentityError::WrongTicket)?);
        }
        let secret = identity.cookies.session(self.headers).ok_or(ApiError::NoToken)?;
        let session = identity.directory.by_session(tokens::hash(secret)).await?;
        let is_safe = matches!(*self.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if !is_safe {
            let checked = identity.cookies.check(secret, self.headers, self.host());
            checked.map_err(|foreign| match foreign {
                Foreign::Origin => IdentityError::CrossSite,
                Foreign::Csrf => IdentityError::NoCsrfToken,
            })?;
        } else if self.headers.contains_key(header::UPGRADE)
            && !identity.cookies.is_own(self.headers, self.host())
        {
            // A page of any site may open a WebSocket, and read what comes.
            return Err(IdentityError::CrossSite.into());
        }
        Ok(session.caller.clone())
    }
}

/// Whom a call is for.
pub fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let authority = uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(|| headers.get(header::HOST)?.to_str().ok())
}

/// The token in the headers; `None` if there is none.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| ApiError::WrongToken)?;
    let (scheme, token) = text.split_once(' ').ok_or(ApiError::WrongToken)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(token.trim()))
    } else {
        Err(ApiError::NoToken)
    }
}

/// The ticket in a stream's address.
fn ticket<'a>(method: &Method, uri: &'a Uri) -> Option<&'a str> {
    let is_stream = STREAMS.iter().any(|end| uri.path().ends_with(end));
    if *method != Method::GET || !is_stream {
        return None;
    }
    pairs(uri).find_map(|pair| pair.strip_prefix(TICKET)?.strip_prefix('='))
}

fn pairs(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&')
}

/// The address without its ticket, which nothing behind the guard is to see.
pub fn without_ticket(method: &Method, uri: &Uri) -> Option<Uri> {
    ticket(method, uri)?;
    let rest: Vec<&str> = pairs(uri).filter(|pair| !pair.starts_with("ticket=")).collect();
    let path = match rest.join("&") {
        rest if rest.is_empty() => uri.path().to_owned(),
        rest => format!("{}?{rest}", uri.path()),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_are_for_streams_and_go_no_further() {
        let uri = |text: &'static str| Uri::from_static(text);
        let stream = uri("/api/v1/agents/a/metrics/stream?interval=1&ticket=ngk_x");
        assert_eq!(ticket(&Method::GET, &stream), Some("ngk_x"));
        assert_eq!(
            without_ticket(&Method::GET, &stream).unwrap(),
            "/api/v1/agents/a/metrics/stream?interval=1"
        );
        let alone = uri("https://host/api/v1/ws?ticket=ngk_x");
        assert_eq!(
            without_ticket(&Method::GET, &alone).unwrap(),
            "https://host/api/v1/ws"
        );
        for other in ["/api/v1/tokens?ticket=x", "/api/v1/ws?tickets=x", "/api/v1/ws"] {
            assert_eq!(ticket(&Method::GET, &uri(other)), None, "{other}");
        }
        assert_eq!(ticket(&Method::POST, &alone), None);
    }

    #[test]
    fn a_token_stands_in_the_header_in_one_way() {
        let of = |text: &'static str| {
            let value = http::HeaderValue::from_static(text);
            let headers: HeaderMap = [(header::AUTHORIZATION, value)].into_iter().collect();
            bearer(&headers).map(|found| found.map(str::to_owned))
        };
        assert_eq!(of("Bearer  abc ").unwrap().as_deref(), Some("abc"));
        assert_eq!(of("bearer abc").unwrap().as_deref(), Some("abc"));
        assert!(matches!(of("Basic abc"), Err(ApiError::NoToken)));
        assert!(matches!(of("abc"), Err(ApiError::WrongToken)));
        assert!(bearer(&HeaderMap::new()).unwrap().is_none());
    }
}
