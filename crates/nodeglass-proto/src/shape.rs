//! How large a message becomes when it is decoded, found out by looking at its bytes: an empty entry of a list is two bytes
//! on the wire and hundreds in memory, so that a bound on bytes alone lets one message take gigabytes.
//!
//! What messages hold messages is made from `proto/` with everything else.

use crate::v1;

/// What an entry of a map costs beyond its texts.
const MAP_ENTRY_BYTES: usize = 96;
/// What a text costs beyond its bytes.
const TEXT_BYTES: usize = size_of::<String>();

/// A kind of message.
#[derive(Debug)]
pub struct Shape {
    /// What one takes by itself.
    bytes: usize,
    /// The fields that are messages.
    messages: &'static [(u32, &'static Shape)],
}

/// A message whose shape is known.
pub trait Shaped {
    /// Its shape.
    fn shape() -> &'static Shape;
}

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

impl Shape {
    /// About how many bytes a message of this kind takes when it is decoded; it stops counting beyond `most`. Bytes that are
    /// no message count as far as they are one.
    pub fn decoded_bytes(&self, message: &[u8], most: usize) -> usize {
        let mut counted = self.bytes;
        let mut rest = message;
        while counted <= most
            && let Some((number, content)) = next(&mut rest)
        {
            let Some(content) = content else { continue };
            let message = self.messages.iter().find(|(known, _)| *known == number);
            counted += match message {
                Some((_, shape)) => shape.decoded_bytes(content, most - counted),
                None => TEXT_BYTES + content.len(),
            };
        }
        counted
    }
}

/// The next field: its number, and its content where that has a length. Groups are passed over as if what is in them stood
/// by itself, which never counts less.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u32, Option<&'a [u8]>)> {
    let key = varint(rest)?;
    let number = u32::try_from(key >> 3).ok()?;
    let content = match key & 7 {
        0 => {
            varint(rest)?;
            None
        }
        1 => {
            take(rest, 8)?;
            None
        }
        2 => {
            let length = varint(rest)?;
            Some(take(rest, length)?)
        }
        3 | 4 => None,
        5 => {
            take(rest, 4)?;
            None
        }
        _ => return None,
    };
    Some((number, content))
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (content, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(content)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::limits::MAX_DECODED_BYTES;
    use crate::v1::agent_message::Message as Up;

    fn size(message: &v1::AgentMessage) -> usize {
        v1::AgentMessage::shape().decoded_bytes(&message.encode_to_vec(), usize::MAX)
    }

    fn samples(samples: Vec<v1::Sample>) -> v1::AgentMessage {
        let batch = v1::SampleBatch {
            samples,
            ..Default::default()
        };
        v1::AgentMessage {
            message: Some(Up::Samples(batch)),
        }
    }

    #[test]
    fn empty_entries_count_for_what_they_take() {
        let empty = v1::Sample {
            data: Some(v1::MetricsDataResponse::default()),
            ..Default::default()
        };
        let bomb = samples(vec![empty; 50_000]);
        assert!(bomb.encoded_len() < 300_000, "{}", bomb.encoded_len());
        assert!(size(&bomb) > 50_000 * size_of::<v1::MetricsDataResponse>());
        let disks = v1::MetricsDataResponse {
            disks: vec![v1::DiskMetrics::default(); 200_000],
            ..Default::default()
        };
        let bomb = samples(vec![v1::Sample {
            data: Some(disks),
            ..Default::default()
        }]);
        assert!(size(&bomb) > MAX_DECODED_BYTES, "{}", size(&bomb));
        let words = (0..200_000).map(|number| (number.to_string(), 1)).collect();
        let heartbeat = v1::Heartbeat {
            rejected_by_code: words,
            ..Default::default()
        };
        let bomb = v1::AgentMessage {
            message: Some(Up::Heartbeat(heartbeat)),
        };
        assert!(size(&bomb) > 200_000 * (MAP_ENTRY_BYTES + TEXT_BYTES));
    }

    #[test]
    fn a_full_batch_of_a_common_host_is_well_within_the_bound() {
        let disk = v1::DiskMetrics {
            device: "/dev/nvme0n1p1".into(),
            mount_point: "/var/lib/something".into(),
            ..Default::default()
        };
        let data = v1::MetricsDataResponse {
            disks: vec![disk; 20],
            network_interfaces: vec![v1::NetworkMetrics::default(); 10],
            ..Default::default()
        };
        let sample = v1::Sample {
            data: Some(data),
            ..Default::default()
        };
        let bytes = size(&samples(vec![sample; 500]));
        assert!(bytes < MAX_DECODED_BYTES / 2, "{bytes}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted_to_an_end(bytes: Vec<u8>) {
            let counted = v1::AgentMessage::shape().decoded_bytes(&bytes, 1 << 20);
            prop_assert!(counted >= size_of::<v1::AgentMessage>());
        }
    }

    #[test]
    fn what_waits_for_an_agent_s_message_has_no_room_for_the_largest() {
        let largest = size_of::<v1::TaskResponse>();
        assert!(size_of::<v1::AgentMessage>() * 4 < largest, "{largest}");
    }
}
