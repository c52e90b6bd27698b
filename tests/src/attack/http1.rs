//! Attacks over HTTP/1 and on the sockets below it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Attack;
use crate::fake_agent::now;

/// The pace of those who send a byte now and then.
const SLOWLY: Duration = Duration::from_millis(500);

/// Starts all of them. `idle` connections are held and say nothing.
pub fn start(attack: &Attack, attackers: &mut JoinSet<()>, idle: usize) {
    // These are at the door before it is crowded.
    guesses(attack, attackers);
    pushes(attack, attackers);
    attack.repeat(
        attackers,
        "idle connections",
        (idle, 11),
        |_, mut stream| async move {
            let mut byte = [0];
            // Until the server has had enough.
            match stream.read(&mut byte).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            }
        },
    );
    attack.repeat(attackers, "heads, a byte at a time", (100, 12), |_, stream| async move {
        slowly(stream, b"GET /health HTTP/1.1\r\nhost: x\r\nx-filler: ", b'a').await
    });
    attack.repeat(attackers, "bodies, a byte at a time", (50, 13), |attack, stream| async move {
        let head = format!(
            "POST /api/v1/import HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000000000\r\n\r\n",
            attack.token
        );
        slowly(stream, head.as_bytes(), b'{').await
    });
    attack.repeat(attackers, "endless heads", (4, 14), |_, mut stream| async move {
        stream.write_all(b"GET / HTTP/1.1\r\n").await?;
        let line = format!("x-{}: {}\r\n", "n".repeat(1000), "v".repeat(7000));
        loop {
            stream.write_all(line.as_bytes()).await?;
        }
    });
    attack.repeat(
        attackers,
        "half a TLS greeting",
        (50, 15),
        |_, stream| async move {
            // A record of a handshake that claims to be long.
            slowly(stream, &[22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb], 0).await
        },
    );
    attack.repeat(attackers, "calls", (2, 16), |attack, stream| async move {
        for path in paths() {
            let answer = call(&attack, &path).await;
            attack.note("strange queries", 1, u64::from(answer.is_err()));
        }
        drop(stream);
        Ok(())
    });
    attack.repeat(attackers, "deep JSON", (2, 17), |attack, mut stream| async move {
        let body = format!("{}\n", "[".repeat(1 << 20));
        let head = format!(
            "POST /api/v1/import HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
            attack.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        end(stream).await
    });
}

/// Passwords and tokens that are guessed, one after the other on each connection.
fn guesses(attack: &Attack, attackers: &mut JoinSet<()>) {
    attack.repeat(attackers, "passwords", (8, 18), |attack, mut stream| async move {
        for number in 0.. {
            let body = format!(
                r#"{{"user":"user-{}","password":"guess-{number}-guess"}}"#,
                number % 50
            );
            post(&attack, &mut stream, "/api/v1/session", "", &body).await?;
        }
        Ok(())
    });
    attack.repeat(attackers, "tokens", (8, 19), |attack, mut stream| async move {
        for number in 0.. {
            let token = format!("ngt_guess{number}");
            post(&attack, &mut stream, "/api/v1/tokens", &token, "{}").await?;
        }
        Ok(())
    });
}

/// Pushes of somebody who may, each with a metric of another name and at another moment of the hour before.
fn pushes(attack: &Attack, attackers: &mut JoinSet<()>) {
    let (from, pushed) = (now().0 - 3_600_000, Arc::<AtomicI64>::default());
    attack.repeat(attackers, "pushes", (4, 20), move |attack, mut stream| {
        let pushed = pushed.clone();
        async move {
            loop {
                let number = pushed.fetch_add(1, Ordering::Relaxed);
                let at = from + number;
                let body =
                    format!(r#"{{"cpu_usage":1,"timestamp":{at},"custom_metrics":{{"m{number}":1}}}}"#);
                let path = "/api/v1/agents/pusher/metrics";
                post(&attack, &mut stream, path, &attack.writer, &body).await?;
            }
        }
    });
}

/// Posts, and reads what of the answer comes at once; an error if it was refused for having come too often.
async fn post(
    attack: &Attack,
    stream: &mut TcpStream,
    path: &str,
    token: &str,
    body: &str,
) -> io::Result<()> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer).await?;
    let is_turned_away = answer[..read].starts_with(b"HTTP/1.1 429") || read == 0;
    attack.note("posts", 1, u64::from(is_turned_away));
    if is_turned_away {
        return Err(io::Error::other("turned away"));
    }
    Ok(())
}

/// Sends a beginning, and then the same byte for ever, slowly.
async fn slowly(mut stream: TcpStream, beginning: &[u8], filler: u8) -> io::Result<()> {
    stream.write_all(beginning).await?;
    let mut answer = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut answer) => {
                if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            () = tokio::time::sleep(SLOWLY) => stream.write_all(&[filler]).await?,
        }
    }
}

/// Reads to the end, which says what became of it.
async fn end(mut stream: TcpStream) -> io::Result<()> {
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await?;
    if answer[..read].starts_with(b"HTTP/1.1 2") {
        Ok(())
    } else {
        Err(io::Error::other("refused"))
    }
}

/// Calls that ask for much, or are hard to read.
fn paths() -> Vec<String> {
    let many = vec!["disk.used_bytes@*"; 3000].join(",");
    let different: Vec<_> = (0..2000)
        .map(|number| format!("disk.used_bytes@{number}"))
        .collect();
    vec![
        format!("/api/v1/metrics/latest?agents={}", "*a".repeat(30_000)),
        format!("/api/v1/metrics/agents?q={}b", "*a".repeat(120)),
        format!("/api/v1/metrics/history?agents=*&start=-7d&metrics={many}"),
        format!(
            "/api/v1/metrics/history?agents=*&start=-1h&metrics={}",
            different.join(",")
        ),
        format!("/api/v1/agents/honest-0/metrics/history?start=-30d&interval=1&metrics={many}"),
        format!("/api/v1/{}", "a/".repeat(20_000)),
        format!("/api/v1/metrics/agents?{}", "a=1&".repeat(10_000)),
        "/api/v1/metrics/top?metric=cpu.usage_percent&limit=18446744073709551615".to_owned(),
        "/api/v1/export?agents=*&start=-7d".to_owned(),
    ]
}

async fn call(attack: &Attack, path: &str) -> io::Result<()> {
    let mut stream = attack.connect(16).await?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        attack.token
    );
    stream.write_all(head.as_bytes()).await?;
    end(stream).await
}
