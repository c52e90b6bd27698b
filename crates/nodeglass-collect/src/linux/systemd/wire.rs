//! D-Bus messages as bytes, as far as one method call and its answer need them. Pure: whatever comes in, nothing
//! panics and nothing is read beyond its end.

use nodeglass_model::sample::SystemdMetrics;

use super::Units;

/// Kinds of messages.
const METHOD_CALL: u8 = 1;
pub(super) const METHOD_RETURN: u8 = 2;
pub(super) const ERROR: u8 = 3;

/// Header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

const VERSION: u8 = 1;

/// What every message begins with: byte order, kind, flags, version, length of the body, serial, length of the fields.
pub(super) const FIXED: usize = 16;

/// What `ListUnits` returns: name, description, load state, active state, sub state, followed unit, path, and three of
/// a job.
const UNITS: &str = "a(ssssssouso)";

/// A method to call. The destination may be left out between two who have nobody else to talk to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) destination: &'static str,
    pub(super) path: &'static str,
    pub(super) interface: &'static str,
    pub(super) member: &'static str,
}

impl Call {
    /// The message, without a body. It is in the byte order of this machine.
    pub(super) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut fields = Vec::new();
        for (field, kind, text) in [
            (PATH, b'o', self.path),
            (INTERFACE, b's', self.interface),
            (MEMBER, b's', self.member),
            (DESTINATION, b's', self.destination),
        ] {
            fields.resize(fields.len().next_multiple_of(8), 0);
            fields.extend([field, 1, kind, 0]);
            fields.extend((text.len() as u32).to_ne_bytes());
            fields.extend(text.as_bytes());
            fields.push(0);
        }
        let order = if cfg!(target_endian = "big") { b'B' } else { b'l' };
        let mut message = vec![order, METHOD_CALL, 0, VERSION];
        message.extend(0_u32.to_ne_bytes());
        message.extend(serial.to_ne_bytes());
        message.extend((fields.len() as u32).to_ne_bytes());
        message.extend(fields);
        message.resize(message.len().next_multiple_of(8), 0);
        message
    }
}

/// The length of a whole message by its first sixteen bytes; `None` if that is no message.
pub(super) fn message_length(fixed: &[u8; FIXED]) -> Option<usize> {
    let mut cursor = Cursor::new(fixed)?;
    if fixed[3] != VERSION {
        return None;
    }
    cursor.at = 4;
    let body = cursor.number()? as usize;
    cursor.at = 12;
    let fields = cursor.number()? as usize;
    FIXED
        .checked_add(fields)?
        .checked_next_multiple_of(8)?
        .checked_add(body)
}

/// A message that came in.
#[derive(Debug, PartialEq)]
pub(super) struct Message<'a> {
    pub(super) kind: u8,
    pub(super) reply_to: Option<u32>,
    pub(super) error_name: Option<&'a str>,
    signature: &'a str,
    body: Cursor<'a>,
}

/// Takes a whole message apart; `None` if it is broken.
pub(super) fn parse_message(bytes: &[u8]) -> Option<Message<'_>> {
    let mut cursor = Cursor::new(bytes)?;
    let kind = *bytes.get(1)?;
    cursor.at = 12;
    let end = (cursor.number()? as usize).checked_add(FIXED)?;
    let (mut reply_to, mut error_name, mut signature) = (None, None, "");
    while cursor.at < end {
        cursor.align(8);
        let field = cursor.byte()?;
        match (field, cursor.signature()?) {
            (REPLY_SERIAL, "u") => reply_to = Some(cursor.number()?),
            (SIGNATURE, "g") => signature = cursor.signature()?,
            (ERROR_NAME, "s") => error_name = Some(cursor.text()?),
            (_, "s" | "o") => {
                cursor.text()?;
            }
            (_, "g") => {
                cursor.signature()?;
            }
            (_, "u") => {
                cursor.number()?;
            }
            _ => return None,
        }
    }
    cursor.align(8);
    Some(Message {
        kind,
        reply_to,
        error_name,
        signature,
        body: Cursor {
            // Places in the body count from its own beginning, which is a multiple of eight.
            bytes: bytes.get(cursor.at..)?,
            at: 0,
            is_big: cursor.is_big,
        },
    })
}

/// Counts the units of an answer to `ListUnits`; `None` if it is something else.
pub(super) fn parse_units(message: &Message<'_>) -> Option<Units> {
    if message.signature != UNITS {
        return None;
    }
    let mut cursor = message.body.clone();
    let length = cursor.number()? as usize;
    cursor.align(8);
    let end = cursor.at.checked_add(length)?;
    let [
        mut active,
        mut failed,
        mut inactive,
        mut activating,
        mut deactivating,
    ] = [0_u32; 5];
    let mut units = Units::default();
    while cursor.at < end {
        cursor.align(8);
        let name = cursor.text()?;
        let [_, load, state, _, _, _] = cursor.texts()?;
        cursor.number()?;
        let [_, _] = cursor.texts()?;
        match state {
            // A unit that is reloaded goes on working.
            "active" | "reloading" | "refreshing" => active += 1,
            "failed" => {
                failed += 1;
                units.failed.push(name.to_owned());
            }
            // Units that others only mention are not there.
            "inactive" if load == "loaded" => inactive += 1,
            "activating" => activating += 1,
            "deactivating" => deactivating += 1,
            _ => {}
        }
    }
    units.failed.sort();
    units.counts = SystemdMetrics {
        active_units: Some(active),
        failed_units: Some(failed),
        inactive_units: Some(inactive),
        activating_units: Some(activating),
        deactivating_units: Some(deactivating),
    };
    Some(units)
}

/// A place in the bytes of a message.
#[derive(Debug, Clone, PartialEq)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    is_big: bool,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a message, whose first byte is its byte order.
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let is_big = match bytes.first()? {
            b'l' => false,
            b'B' => true,
            _ => return None,
        };
        Some(Self { bytes, at: 0, is_big })
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        let bytes = self.take(4)?.try_into().ok()?;
        Some(if self.is_big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    /// A text or a path, with the zero after it.
    fn text(&mut self) -> Option<&'a str> {
        let length = self.number()? as usize;
        self.with_zero(length)
    }

    fn texts<const N: usize>(&mut self) -> Option<[&'a str; N]> {
        let mut texts = [""; N];
        for text in &mut texts {
            *text = self.text()?;
        }
        Some(texts)
    }

    fn signature(&mut self) -> Option<&'a str> {
        let length = self.byte()?;
        self.with_zero(length.into())
    }

    fn with_zero(&mut self, length: usize) -> Option<&'a str> {
        let text = self.take(length)?;
        self.take(1).filter(|zero| *zero == [0])?;
        std::str::from_utf8(text).ok()
    }
}
