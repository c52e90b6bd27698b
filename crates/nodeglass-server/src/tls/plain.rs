//! Plain HTTP that comes to a TLS port: it is told where it should have gone, instead of being cut off.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How a connection begins that is to be HTTP/2 without TLS.
const HTTP2: &[u8] = b"PRI ";
const WHERE_TO: &str = "this is a TLS port: use https://";
/// What is read of the call before the connection is closed: closing on something unread would take the answer away.
const UNREAD_BYTES: u64 = 64 << 10;

/// What to say to whom, by the first bytes; `None` for TLS, and for whatever is neither.
pub(super) async fn answer_to(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut first = [0; HTTP2.len()];
    let length = stream.peek(&mut first).await?;
    Ok(answer(&first[..length]))
}

fn answer(first: &[u8]) -> Option<Vec<u8>> {
    if first == HTTP2 {
        return Some(http2_answer());
    }
    // The name of a method; TLS begins with the number 22.
    first.first()?.is_ascii_uppercase().then(|| {
        let length = WHERE_TO.len() + 1;
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{WHERE_TO}\n"
        );
        answer.into_bytes()
    })
}

/// Empty settings, and a farewell for the reason that security is inadequate.
fn http2_answer() -> Vec<u8> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: u8 = 7;
    const INADEQUATE_SECURITY: u32 = 12;
    let length = 8 + WHERE_TO.len() as u32;
    let mut answer = SETTINGS.to_vec();
    answer.extend(&length.to_be_bytes()[1..]);
    answer.extend([GOAWAY, 0, 0, 0, 0, 0]);
    answer.extend(0_u32.to_be_bytes());
    answer.extend(INADEQUATE_SECURITY.to_be_bytes());
    answer.extend(WHERE_TO.as_bytes());
    answer
}

/// Says it, and ends the connection so that it arrives.
pub(super) async fn turn_away(mut stream: TcpStream, answer: Vec<u8>) -> io::Result<()> {
    stream.write_all(&answer).await?;
    stream.shutdown().await?;
    let mut unread = stream.take(UNREAD_BYTES);
    tokio::io::copy(&mut unread, &mut tokio::io::sink())
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_told_from_tls() {
        let said = |first| answer(first).map(|answer| String::from_utf8_lossy(&answer).into_owned());
        for first in [&b"GET "[..], b"POST", b"G"] {
            let said = said(first).unwrap();
            assert!(
                said.starts_with("HTTP/1.1 400 ") && said.ends_with("use https://\n"),
                "{said}"
            );
        }
        assert!(said(b"PRI ").unwrap().ends_with("use https://"));
        for first in [&[22, 3, 1, 2][..], b"", b"\x80\x2e\x01"] {
            assert_eq!(answer(first), None);
        }
    }
}
