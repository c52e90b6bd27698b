//! Bounds of the wire, for both ends: nothing is left at a library's default.

use std::time::Duration;

/// The largest message of a session, as it is decoded. A sample of a thousand devices is about 100 KiB.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// The largest that a message may become when it is decoded: two bytes of an empty entry in a list are hundreds in memory.
/// 500 samples of a common host, in the form that is not packed, are a third of it.
pub const MAX_DECODED_BYTES: usize = 32 << 20;
/// The largest question that the client-facing service takes.
pub const MAX_QUESTION_BYTES: usize = 256 << 10;
/// The largest answer that the client-facing service gives: 10,000 points of many series.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;
/// What a sender puts into one batch at most, before compression; well under [`MAX_MESSAGE_BYTES`].
pub const MAX_BATCH_BYTES: usize = 512 << 10;
/// How many samples one batch holds at most.
pub const MAX_BATCH_SAMPLES: usize = 500;
/// Devices of all kinds in one sample; more is a mistake or an attack.
pub const MAX_DEVICES: usize = 4096;
/// The longest label of a device, in bytes: the longest path that a mount can have in practice.
pub const MAX_LABEL_BYTES: usize = 1024;
/// Reported failures in one sample.
pub const MAX_FAILURES: usize = 64;

/// How long a connection is silent before it is asked whether the other end is still there: by an agent with an HTTP/2 PING, by the
/// server's kernel with a probe.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How long it waits for the answer before it gives the connection up.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long setting up a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the first answer to a call may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// HTTP/2 flow control, of one stream: a few batches in flight.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// HTTP/2 flow control, of one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 2 << 20;
/// The largest HTTP/2 frame that each end takes.
pub const MAX_FRAME_BYTES: u32 = 64 << 10;
/// The largest set of headers that each end takes.
pub const MAX_HEADER_BYTES: u32 = 16 << 10;
