//! Taking samples out of a session's batches.

use std::sync::atomic::Ordering;

use nodeglass_chunk::row::RowError;
use nodeglass_model::{Sample, SampleId};
use nodeglass_proto::packed::Unreadable;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_proto::{InvalidSample, v1};
use tonic::Status;
use tracing::warn;

use super::{Next, Session};
use crate::ingest::{Arrived, Refusal};

impl Session {
    pub(super) fn take_samples(&mut self, batch: v1::SampleBatch) -> Next {
        let (mut rejected, mut newest) = (Vec::new(), None);
        let backfill = batch.backfill;
        for v1::Sample { epoch, seq, data } in batch.samples {
            let (id, sample) = (
                SampleId { epoch, seq },
                Sample::try_from(data.unwrap_or_default()),
            );
            let sample = sample.map(|sample| Arrived::Whole(Box::new(sample)));
            let taken = self.take_sample(id, sample, backfill, &mut rejected);
            newest = taken.map(|sample| (id, sample)).or(newest);
        }
        if let Some((id, sample)) = newest.filter(|_| !backfill) {
            sample.show(&self.agent, id);
        }
        let mut unpacker = self.unpacker.take().unwrap_or_default();
        let read = batch.packed.map_or(Ok(()), |packed| {
            unpacker.unpack(&packed, backfill, |id, sample| {
                let taken = self.take_sample(id, sample.map(Arrived::Packed), backfill, &mut rejected);
                // A live one comes by itself.
                if let Some(sample) = taken.filter(|_| !backfill) {
                    sample.show(&self.agent, id);
                }
            })
        });
        self.unpacker = Some(unpacker);
        if let Err(unreadable) = &read
            && let Some(id) = unreadable.id.filter(|_| !unreadable.is_newer())
        {
            let (code, message) = ("invalid_sample", unreadable.to_string());
            let rejection = self.refuse(id.epoch, id.seq, Refusal { code, message });
            rejected.push(rejection);
        }
        let mut next = Next::default();
        if !rejected.is_empty() {
            next.say = Some(Down::Acknowledgement(v1::Acknowledgement {
                stored: Vec::new(),
                rejected,
            }));
        }
        match read {
            Ok(()) => {}
            // What stood behind it is asked for again; what could not be read is settled by then.
            Err(Unreadable { id: Some(_), error }) if backfill && !matches!(error, RowError::Version(_)) => {
                self.turned_away = true;
            }
            Err(unreadable) => {
                next.end = Some(Status::invalid_argument(format!(
                    "{unreadable}; begin the session anew"
                )));
            }
        }
        next
    }

    /// Hands a sample to the writer; gives it back if it is acceptable, to be shown.
    fn take_sample<'a>(
        &mut self,
        id: SampleId,
        sample: Result<Arrived<'a>, InvalidSample>,
        backfill: bool,
        rejected: &mut Vec<v1::Rejection>,
    ) -> Option<Arrived<'a>> {
        self.shared.books.received.fetch_add(1, Ordering::Relaxed);
        let checked = self.shared.check(&self.agent, id, sample);
        match checked.and_then(|sample| self.check_devices(sample, backfill)) {
            Ok(mut sample) => {
                self.outbound.settled.one_more_waits();
                if !self.shared.keep(&self.agent, id, &mut sample, backfill) {
                    self.outbound.settled.fewer_wait(1);
                    self.turned_away = true;
                }
                Some(sample)
            }
            Err(refusal) => {
                let rejection = self.refuse(id.epoch, id.seq, refusal);
                rejected.push(rejection);
                None
            }
        }
    }

    /// Whether the agent may have these devices. Of those that were refused nothing is taken until others are described.
    fn check_devices<'a>(&mut self, mut sample: Arrived<'a>, backfill: bool) -> Result<Arrived<'a>, Refusal> {
        let described = sample.described();
        let too_many = &mut self.too_many_devices[usize::from(backfill)];
        if described > 0 {
            *too_many = !self.agent.quota().has_room(described, sample.sample());
        }
        if *too_many {
            return Err(Refusal::too_many_devices());
        }
        Ok(sample)
    }

    fn refuse(&mut self, epoch: u64, seq: u64, refusal: Refusal) -> v1::Rejection {
        self.shared.books.rejected.fetch_add(1, Ordering::Relaxed);
        self.agent.count_rejection(refusal.code);
        if !self.refusal_logged {
            self.refusal_logged = true;
            warn!(agent = %self.agent.id, epoch, seq, code = refusal.code, reason = refusal.message,
                "a sample was refused; further ones of this session are only counted");
        }
        v1::Rejection {
            epoch,
            seq,
            code: refusal.code.to_owned(),
            message: refusal.message,
        }
    }
}
