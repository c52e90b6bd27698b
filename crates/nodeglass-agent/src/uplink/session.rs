//! One open session: live samples, the backlog behind them, signs of life, and what the server says.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use nodeglass_journal::{Gap, Standing};
use nodeglass_model::{SampleId, UnixMillis};
use nodeglass_proto::packed::{BackfillPacker, LivePacker, is_too_large};
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_proto::{seq_range_from_wire, v1};
use nodeglass_runtime::telemetry::chain;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};
use tracing::{debug, warn};

use super::{GOODBYE, SessionError, Uplink};
use crate::sampling::SamplingPlan;

/// Samples sent and not acknowledged at most; live ones always go, and wait in the connection behind no more than these: to a server
/// that has its hands full that takes about a second.
const IN_FLIGHT: u64 = 500;
/// How long, when the agent stops, it waits for its last samples to be stored.
const DRAIN: Duration = Duration::from_secs(3);
/// How long a backlog rests that can't be read.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// What becomes of a sample that no server would take.
const TOO_LARGE: &str = "too_large";
/// How long a certificate that was asked for may take before it is asked for again.
const CERTIFICATE_AGAIN: Duration = Duration::from_mins(1);
/// Signs of life until the server says how often it wants them.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(10);

/// What is said and heard in one session, once it is open.
pub(super) struct Session<'a> {
    uplink: &'a Uplink,
    outbound: mpsc::Sender<v1::AgentMessage>,
    packer: LivePacker,
    /// The spans without samples that the server was told of in this session.
    told_gaps: Option<VecDeque<Gap>>,
    /// When a certificate was asked for that has not come.
    asked_certificate: Option<Instant>,
    /// What is in force since the server last asked for something, if it was not told yet.
    report: Option<v1::SettingsReport>,
}

impl<'a> Session<'a> {
    pub(super) fn new(uplink: &'a Uplink, outbound: mpsc::Sender<v1::AgentMessage>) -> Self {
        Self {
            uplink,
            outbound,
            packer: LivePacker::default(),
            told_gaps: None,
            asked_certificate: None,
            report: None,
        }
    }

    /// Says and hears what there is until the session fails, or `stop` and all is settled.
    pub(super) async fn talk(
        &mut self,
        inbound: &mut Streaming<v1::ServerMessage>,
        settings: &v1::Settings,
        stop: &CancellationToken,
    ) -> Result<(), SessionError> {
        let outbox = self.uplink.outbox.clone();
        let journal = &outbox.journal;
        let heartbeat_interval = heartbeat_interval(settings);
        let now = Instant::now();
        // The first at once.
        let mut next_heartbeat = now.checked_sub(heartbeat_interval / 4).unwrap_or(now);
        // A server that stores once in a while acknowledges once in a while: it has what was sent, and will store it.
        let is_done = || {
            if settings.persist_interval_ms == 0 {
                journal.is_settled()
            } else {
                journal.is_sent()
            }
        };
        let mut until: Option<Instant> = None;
        let mut reading_failed = false;
        let outbound = self.outbound.clone();
        // First the sample that is there: another interval may bring a newer one, and this one would come late.
        self.send_live().await?;
        self.adopt(settings);
        loop {
            if let Some(until) = until
                && (is_done() || Instant::now() >= until)
            {
                // The last word is ours: the books as they are left, and an end rather than a broken connection.
                let heartbeat = self.heartbeat();
                let _ = tokio::time::timeout(GOODBYE, self.send(Up::Heartbeat(heartbeat))).await;
                return Ok(());
            }
            if let Some(report) = self.report.take() {
                self.send(Up::Settings(report)).await?;
            }
            tokio::select! {
                biased;
                message = inbound.message() => self.take(message)?,
                () = outbox.owed() => {
                    self.send_live().await?;
                    if Instant::now() >= next_heartbeat {
                        self.send_heartbeat(&mut next_heartbeat, heartbeat_interval).await?;
                    }
                }
                // It goes with a sample, in one piece; by itself only while none is due.
                () = tokio::time::sleep_until(next_heartbeat + heartbeat_interval / 4) => {
                    self.send_heartbeat(&mut next_heartbeat, heartbeat_interval).await?;
                }
                room = outbound.reserve(), if !reading_failed && journal.has_backlog(IN_FLIGHT) => {
                    let room = room.map_err(|_| SessionError::Gone)?;
                    if journal.has_live() {
                        // It came this moment, and we hear of it the next; it is no backlog.
                        drop(room);
                        self.send_live().await?;
                        continue;
                    }
                    match self.backlog().await {
                        Some(batch) => room.send(v1::AgentMessage { message: Some(Up::Samples(batch)) }),
                        None => reading_failed = true,
                    }
                }
                () = tokio::time::sleep(READ_AGAIN), if reading_failed => reading_failed = false,
                () = stop.cancelled(), if until.is_none() => until = Some(Instant::now() + DRAIN),
                () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            }
        }
    }

    /// Takes what the server said before the connection was gone: its last word says why, and may tell when to come back.
    pub(super) async fn hear_out(
        &mut self,
        inbound: &mut Streaming<v1::ServerMessage>,
    ) -> Result<(), SessionError> {
        loop {
            let message = tokio::time::timeout(GOODBYE, inbound.message());
            self.take(message.await.map_err(|_| SessionError::Gone)?)?;
        }
    }

    /// Takes over what the server wants of this agent. What it asks for once holds until it asks for something else; what
    /// an operator asks for in between is not undone.
    fn adopt(&mut self, settings: &v1::Settings) {
        let requests = &self.uplink.requests;
        let current = requests.plan.borrow().clone();
        let (next, report) = requests.asked.take(settings, &requests.configured, &current);
        if let Some(next) = next {
            requests.plan.send_if_modified(|plan| {
                let next = SamplingPlan {
                    watched: plan.watched,
                    ..next
                };
                let differs = *plan != next;
                *plan = next;
                differs
            });
        }
        self.report = report;
        let watched = settings.watch_interval_ms.filter(|millis| *millis > 0);
        self.uplink
            .watch(watched.map(|millis| Duration::from_millis(millis.into())));
    }

    fn take(&mut self, message: Result<Option<v1::ServerMessage>, Status>) -> Result<(), SessionError> {
        let message = match message {
            Ok(Some(message)) => message.message,
            Ok(None) => return Err(SessionError::Closed(Status::ok("without a word"))),
            Err(status) if status.code() == Code::PermissionDenied => {
                return Err(SessionError::Refused(status));
            }
            Err(status) => return Err(SessionError::Closed(status)),
        };
        let journal = &self.uplink.outbox.journal;
        match message {
            Some(Down::Acknowledgement(words)) => {
                let stored: Vec<_> = words.stored.into_iter().map(seq_range_from_wire).collect();
                journal.acknowledge(&stored);
                for refused in words.rejected {
                    let id = SampleId {
                        epoch: refused.epoch,
                        seq: refused.seq,
                    };
                    journal.reject(id, &refused.code);
                    warn!(
                        seq = id.seq,
                        code = refused.code,
                        reason = refused.message,
                        "the server refused a sample"
                    );
                }
            }
            Some(Down::Resend(_)) => journal.send_again(),
            Some(Down::TaskRequest(request)) => {
                let (requests, outbound) = (self.uplink.requests.clone(), self.outbound.clone());
                self.uplink.tasks.spawn_transient("request", async move {
                    let response = requests.answer(request).await;
                    // If the session has ended, so has the question.
                    let _ = outbound
                        .send(v1::AgentMessage {
                            message: Some(Up::TaskResponse(Box::new(response))),
                        })
                        .await;
                });
            }
            Some(Down::Settings(settings)) => self.adopt(&settings),
            Some(Down::Certificate(certificate)) => self.take_certificate(certificate),
            Some(Down::Probe(probe)) => {
                self.say_soon("probe", Up::ProbeAnswer(v1::ProbeAnswer { nonce: probe.nonce }));
            }
            Some(Down::Welcome(_)) => debug!("the server greets in the middle of a session"),
            None => debug!("the server sent something that this version doesn't know"),
        }
        Ok(())
    }

    async fn send_live(&mut self) -> Result<(), SessionError> {
        match self.uplink.outbox.journal.take_live() {
            Some((id, sample)) if is_too_large(&sample) => {
                self.uplink.outbox.journal.reject(id, TOO_LARGE);
                Ok(())
            }
            Some((id, sample)) => {
                let batch = self.packer.pack(id, &sample);
                self.send(Up::Samples(batch)).await
            }
            None => Ok(()),
        }
    }

    async fn send_heartbeat(&mut self, next: &mut Instant, interval: Duration) -> Result<(), SessionError> {
        // A tenth earlier than asked for, so that the sample which is taken then is not a moment too soon.
        *next = Instant::now() + interval * 9 / 10;
        let heartbeat = self.heartbeat();
        self.send(Up::Heartbeat(heartbeat)).await?;
        self.renew_certificate().await
    }

    /// Asks for another certificate if it is time. With a sign of life, so that it costs no timer.
    async fn renew_certificate(&mut self) -> Result<(), SessionError> {
        let is_due = self.uplink.dialer.speaks_tls()
            && self.uplink.identity.is_renewal_due(self.uplink.clock.now())
            && self
                .asked_certificate
                .is_none_or(|at| at.elapsed() >= CERTIFICATE_AGAIN);
        if !is_due {
            return Ok(());
        }
        self.asked_certificate = Some(Instant::now());
        self.send(Up::CertificateRequest(v1::CertificateRequest {})).await
    }

    /// Takes the certificate that was asked for. The next connection shows it; this one goes on with what it showed.
    fn take_certificate(&mut self, certificate: v1::Certificate) {
        self.asked_certificate = None;
        let uplink = self.uplink.clone();
        self.uplink.tasks.spawn_transient("certificate", async move {
            let identity = uplink.identity;
            // The disk may take its time.
            let kept =
                tokio::task::spawn_blocking(move || identity.take_certificate(certificate.certificate)).await;
            uplink.dialer.forget();
            match kept {
                Ok(Ok(())) => debug!("the certificate is renewed"),
                Ok(Err(error)) => {
                    warn!(error = %chain(&error), "the new certificate is used, and can't be kept");
                }
                Err(error) => warn!(%error, "the new certificate is not taken"),
            }
        });
    }

    /// Says something when there is room, without holding up what else is heard meanwhile.
    fn say_soon(&self, what: &'static str, message: Up) {
        let outbound = self.outbound.clone();
        self.uplink.tasks.spawn_transient(what, async move {
            // If the session has ended, nobody wants to know.
            let _ = outbound
                .send(v1::AgentMessage {
                    message: Some(message),
                })
                .await;
        });
    }

    /// The next batch of what was not sent yet; `None` if it can't be read now.
    async fn backlog(&self) -> Option<v1::SampleBatch> {
        let outbox = self.uplink.outbox.clone();
        let privacy = self.uplink.privacy.privacy.clone();
        let packed = tokio::task::spawn_blocking(move || {
            let mut packer = BackfillPacker::default();
            outbox.journal.take_backlog(IN_FLIGHT, |id, sample| {
                if is_too_large(sample) {
                    outbox.journal.reject(id, TOO_LARGE);
                    ControlFlow::Continue(())
                } else if packer.add(id, &privacy.treated(sample)) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            packer.finish()
        });
        packed.await.ok().flatten()
    }

    async fn send(&self, message: Up) -> Result<(), SessionError> {
        // A full queue is a connection that does not move; keepalive ends it.
        self.outbound
            .send(v1::AgentMessage {
                message: Some(message),
            })
            .await
            .map_err(|_| SessionError::Gone)
    }

    fn heartbeat(&mut self) -> v1::Heartbeat {
        let Standing {
            books,
            buffered,
            buffered_span,
            disk_bytes,
            memory_bytes,
            disk_error,
        } = self.uplink.outbox.journal.standing();
        let has_news = self.told_gaps.as_ref() != Some(&books.gaps);
        let gaps = if has_news {
            books.gaps.iter().map(gap_to_wire).collect()
        } else {
            Vec::new()
        };
        self.told_gaps = Some(books.gaps.clone());
        let millis = |at: UnixMillis| at.0.unsigned_abs();
        let by_reason = books.evicted.iter();
        v1::Heartbeat {
            sent_at: millis(self.uplink.clock.now()),
            sampled: books.sampled,
            acknowledged: books.acknowledged,
            buffered,
            evicted: books.lost(),
            rejected: books.rejected.values().sum(),
            local: books.local,
            journalled: books.journalled,
            sent: books.sent,
            evicted_by_reason: by_reason
                .map(|(reason, count)| (reason.name().to_owned(), *count))
                .collect(),
            rejected_by_code: books.rejected.into_iter().collect(),
            gaps,
            buffered_from: buffered_span.map(|span| millis(span.start)),
            buffered_to: buffered_span.map(|span| millis(span.end)),
            journal_disk_bytes: disk_bytes,
            journal_memory_bytes: memory_bytes,
            journal_error: disk_error.unwrap_or_default(),
            journal_damaged_segments: books.damaged_segments,
        }
    }
}

fn gap_to_wire(gap: &Gap) -> v1::Gap {
    v1::Gap {
        reason: gap.reason.name().to_owned(),
        from: gap.from.0.unsigned_abs(),
        to: gap.to.0.unsigned_abs(),
        samples: gap.samples,
    }
}

fn heartbeat_interval(settings: &v1::Settings) -> Duration {
    match settings.heartbeat_interval_ms {
        0 => DEFAULT_HEARTBEAT,
        millis => Duration::from_millis(millis.into()),
    }
}
