//! Against a real server on a Unix socket.

use super::super::test_server::{self, Server};
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn answer_to(reply: &str) -> Result<String, HttpError> {
    let server = Server::start(test_server::always(reply.as_bytes()));
    let body = get(server.socket(), "/containers/json", PATIENCE);
    let request = server.requests().remove(0);
    assert!(
        request.starts_with("GET /containers/json HTTP/1.1\r\nHost: "),
        "{request}"
    );
    body.map(|body| String::from_utf8(body).unwrap())
}

fn reason(reply: &str) -> String {
    answer_to(reply).unwrap_err().to_string()
}

#[test]
fn bodies_of_every_kind() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nContent-Length: 1\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello",
    ] {
        assert_eq!(answer_to(reply).unwrap(), "hello", "{reply:?}");
    }
    assert_eq!(
        answer_to("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap(),
        ""
    );
}

#[test]
fn what_is_no_answer_says_why() {
    for (reply, why) in [
        ("HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", "status 500"),
        ("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "status 301"),
        ("", "its head has no end"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "its head has no end"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "its head makes no sense"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            "it breaks off",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "its length is no number",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "coding is not known",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "a chunk has no size",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
            "longer than its size",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            "it breaks off",
        ),
    ] {
        let reason = reason(reply);
        assert!(reason.contains(why), "{reply:?}: {reason}");
    }
}

#[test]
fn too_much_is_refused_before_it_is_held() {
    for head in [
        "Content-Length: 8388609\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n800001\r\n",
    ] {
        let error = answer_to(&format!("HTTP/1.1 200 OK\r\n{head}")).unwrap_err();
        assert!(matches!(error, HttpError::TooLong), "{error}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(MOST_BODY_BYTES + 1));
    assert!(matches!(answer_to(&endless), Err(HttpError::TooLong)));
    let head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(100_000));
    assert!(reason(&head).contains("its head has no end"));
}

#[test]
fn a_server_that_hangs_costs_its_time_and_no_more() {
    let server = Server::start(test_server::hang());
    let error = get(server.socket(), "/", Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.to_string(), "no answer in time");
}
