//! Age and room: which segments go, and in what order.

use std::collections::VecDeque;
use std::fs;
use std::time::Instant;

use nodeglass_model::UnixMillis;

use super::Storage;
use super::disk::no_room;
use crate::books::Reason;
use crate::segment::{Place, Segment};

impl Storage {
    /// Takes out the oldest segments, as far as age and room ask for it.
    pub(crate) fn outgrown(&mut self, now: UnixMillis, at: Instant) -> Vec<(Segment, Reason)> {
        if self.may_try_disk(at) {
            self.move_to_disk(at);
        }
        let mut going = Vec::new();
        let oldest = now.minus(self.config.max_age);
        // Both clocks must say that it is old: one may have been set. What seems to be from the future is as old as it lay.
        let is_old = |segment: &Segment| {
            let by_wall = segment
                .index
                .span
                .is_none_or(|span| span.end < oldest || span.end > now);
            let closed = segment.closed.unwrap_or(at);
            by_wall && at.saturating_duration_since(closed) >= self.config.max_age
        };
        let (old, young): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.segments).into_iter().partition(is_old);
        self.segments = young;
        going.extend(old.into_iter().map(|segment| (segment, Reason::TooOld)));
        let disk_room = self.config.max_bytes.saturating_sub(self.segment_bytes(false));
        while self.disk_bytes() > disk_room
            && let Some(segment) = self.take_oldest(false)
        {
            going.push((segment, Reason::Full));
        }
        // The bound on memory holds for a journal that has no disk at all, too.
        let memory_room = self
            .config
            .max_memory_bytes
            .saturating_sub(self.segment_bytes(true));
        while self.memory_bytes() > memory_room {
            // If it is only full, the disk takes the new in place of the oldest that lies there.
            if self.refused_for_room()
                && let Some(segment) = self.take_oldest(false)
            {
                going.push((removed_now(segment), Reason::Full));
                self.move_to_disk(at);
                // What lies on the disk is older than what is in memory, which goes when the disk has nothing more to give.
                continue;
            }
            let Some(segment) = self.take_oldest(true) else {
                break;
            };
            going.push((segment, Reason::Full));
        }
        going
    }

    pub(super) fn refused_for_room(&self) -> bool {
        self.refused
            .as_ref()
            .is_some_and(|(reason, _)| *reason == no_room())
    }

    pub(super) fn take_oldest(&mut self, in_memory: bool) -> Option<Segment> {
        let place = self
            .segments
            .iter()
            .position(|segment| segment.is_in_memory() == in_memory && segment.closed.is_some())?;
        self.segments.remove(place)
    }
}

/// A segment whose file makes room at once. Its bytes are still needed for the books: they are kept in memory that long.
fn removed_now(segment: Segment) -> Segment {
    let Place::Disk(path, _) = &segment.place else {
        return segment;
    };
    let bytes = fs::read(path).unwrap_or_default();
    let _ = fs::remove_file(path);
    Segment {
        place: Place::Memory(bytes),
        ..segment
    }
}
