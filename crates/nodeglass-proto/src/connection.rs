//! Connections to a server: every setting that there is, none left at the library's default.

use tonic::transport::{Endpoint, Error};

use crate::limits::{
    CONNECT_TIMEOUT, CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_HEADER_BYTES,
    STREAM_WINDOW_BYTES,
};

/// How to connect to the server at `url` (`http://host:port`) as the program `user_agent` (`name/version`).
///
/// # Errors
/// The URL is none.
pub fn endpoint(url: &str, user_agent: &str) -> Result<Endpoint, Error> {
    Ok(Endpoint::from_shared(url.to_owned())?
        .user_agent(user_agent)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_adaptive_window(false))
}
