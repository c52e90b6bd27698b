//! An agent that speaks the wire and does as the test tells it, right or wrong.

use nodeglass_agent::dialer::Dialer;
use nodeglass_agent::identity::Identity;
use nodeglass_model::{Clock, Sample, SystemClock, UnixMillis};
use nodeglass_proto::limits::MAX_ANSWER_BYTES;
use nodeglass_proto::proof::told_time;
use nodeglass_proto::pushback::pushed_back;
use nodeglass_proto::v1;
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_proto::v1::agent_service_client::AgentServiceClient;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_runtime::telemetry::chain;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Status, Streaming};

use crate::PATIENCE;

/// One open session.
#[derive(Debug)]
pub struct FakeAgent {
    outbound: mpsc::Sender<v1::AgentMessage>,
    inbound: Streaming<v1::ServerMessage>,
    /// The epoch of its samples.
    pub epoch: u64,
    /// What the server's welcome asked of it.
    pub settings: v1::Settings,
}

impl FakeAgent {
    /// Opens a session as the identity says, with TLS if its server is `https://`; comes back when the server says so.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn open(identity: &Identity, epoch: u64) -> Result<Self, Status> {
        let began = Instant::now();
        loop {
            let opened = Self::open_as(identity, identity.agent.as_str(), epoch).await;
            match opened.as_ref().err().and_then(pushed_back) {
                Some(pause) if began.elapsed() < PATIENCE => tokio::time::sleep(pause).await,
                Some(_) | None => return opened,
            }
        }
    }

    /// Opens a session and claims a name.
    ///
    /// # Errors
    /// The server refuses.
    ///
    /// # Panics
    /// It can't be reached.
    pub async fn open_as(identity: &Identity, name: &str, epoch: u64) -> Result<Self, Status> {
        Self::begin(identity, hello(identity, name, epoch), true).await
    }

    /// Opens a session with more in its greeting than who it is: its version, its host, its labels.
    ///
    /// # Errors
    /// The server refuses.
    ///
    /// # Panics
    /// It can't be reached.
    pub async fn open_saying(identity: &Identity, epoch: u64, said: v1::Hello) -> Result<Self, Status> {
        let v1::Hello {
            agent_id,
            epoch,
            instance,
            ..
        } = hello(identity, identity.agent.as_str(), epoch);
        let said = v1::Hello {
            agent_id,
            epoch,
            instance,
            ..said
        };
        Self::begin(identity, said, true).await
    }

    /// Opens a session as agents of ours do, who leave their messages as they are: what is worth it in them is packed.
    ///
    /// # Errors
    /// The server refuses.
    ///
    /// # Panics
    /// It can't be reached.
    pub async fn open_uncompressed(identity: &Identity, epoch: u64) -> Result<Self, Status> {
        Self::begin(identity, hello(identity, identity.agent.as_str(), epoch), false).await
    }

    async fn begin(identity: &Identity, hello: v1::Hello, compressed: bool) -> Result<Self, Status> {
        match Self::begin_at(identity, hello.clone(), compressed, now()).await {
            Err(status) => match told_time(&status) {
                Some(at) => Self::begin_at(identity, hello, compressed, at).await,
                None => Err(status),
            },
            opened => opened,
        }
    }

    async fn begin_at(
        identity: &Identity,
        hello: v1::Hello,
        compressed: bool,
        at: UnixMillis,
    ) -> Result<Self, Status> {
        let proof = identity.proof(at).expect("a proof");
        Self::begin_with(identity, hello, compressed, &proof).await
    }

    /// Opens a session with words of the test's choice as proof of its key.
    ///
    /// # Errors
    /// The server refuses.
    ///
    /// # Panics
    /// The words can't be sent.
    pub async fn open_with(identity: &Identity, epoch: u64, proof: &str) -> Result<Self, Status> {
        let hello = hello(identity, identity.agent.as_str(), epoch);
        Self::begin_with(identity, hello, true, proof).await
    }

    async fn begin_with(
        identity: &Identity,
        hello: v1::Hello,
        compressed: bool,
        proof: &str,
    ) -> Result<Self, Status> {
        let channel = Dialer::new(identity, None)
            .connect()
            .await
            .map_err(|error| Status::unavailable(chain(&error).to_string()))?;
        let (outbound, messages) = mpsc::channel(8);
        let mut request = Request::new(ReceiverStream::new(messages));
        request
            .metadata_mut()
            .insert("authorization", proof.parse().expect("words for a header"));
        let mut client = AgentServiceClient::new(channel).max_encoding_message_size(MAX_ANSWER_BYTES);
        if compressed {
            client = client.send_compressed(CompressionEncoding::Zstd);
        }
        let epoch = hello.epoch;
        let _ = outbound
            .send(v1::AgentMessage {
                message: Some(Up::Hello(Box::new(hello))),
            })
            .await;
        let inbound = client.session(request).await?.into_inner();
        let mut agent = Self {
            outbound,
            inbound,
            epoch,
            settings: v1::Settings::default(),
        };
        match agent.next().await? {
            Down::Welcome(welcome) => {
                agent.settings = welcome.settings.unwrap_or_default();
                Ok(agent)
            }
            other => Err(Status::internal(format!("no welcome but {other:?}"))),
        }
    }

    /// The server's next message; whether it is there it says by itself.
    ///
    /// # Errors
    /// How the session ended.
    ///
    /// # Panics
    /// Nothing comes.
    pub async fn next(&mut self) -> Result<Down, Status> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.inbound.message())
                .await
                .expect("a message in time")?;
            match message.and_then(|message| message.message) {
                Some(Down::Probe(v1::Probe { nonce })) => {
                    self.send_message(Up::ProbeAnswer(v1::ProbeAnswer { nonce }))
                        .await;
                }
                Some(message) => return Ok(message),
                None => return Err(Status::ok("the stream ended")),
            }
        }
    }

    /// Sends samples, each under its number.
    pub fn send(&self, samples: impl IntoIterator<Item = (u64, Sample)>) -> impl Future<Output = ()> {
        let samples = samples
            .into_iter()
            .map(|(seq, sample)| (seq, v1::MetricsDataResponse::from(&sample)));
        self.send_raw(samples, false)
    }

    /// Sends what the types of the model would not allow.
    pub fn send_raw(
        &self,
        samples: impl IntoIterator<Item = (u64, v1::MetricsDataResponse)>,
        backfill: bool,
    ) -> impl Future<Output = ()> {
        let samples = samples
            .into_iter()
            .map(|(seq, data)| v1::Sample {
                epoch: self.epoch,
                seq,
                data: Some(data),
            })
            .collect();
        let batch = v1::SampleBatch {
            samples,
            backfill,
            packed: None,
        };
        let outbound = self.outbound.clone();
        async move {
            // A session that has ended shows in what is received.
            let _ = outbound
                .send(v1::AgentMessage {
                    message: Some(Up::Samples(batch)),
                })
                .await;
        }
    }

    /// A sign of life.
    pub async fn heartbeat(&self) {
        self.send_message(Up::Heartbeat(v1::Heartbeat::default())).await;
    }

    /// Sends any message, while its words are listened to.
    pub fn send_aside(&self, message: Up) -> impl Future<Output = ()> + use<> {
        let outbound = self.outbound.clone();
        async move {
            let message = Some(message);
            // A session that has ended shows in what is received.
            let _ = outbound.send(v1::AgentMessage { message }).await;
        }
    }

    /// Sends any message.
    pub async fn send_message(&self, message: Up) {
        let message = v1::AgentMessage {
            message: Some(message),
        };
        // A session that has ended shows in what is received.
        let _ = self.outbound.send(message).await;
    }

    /// Waits until so many samples have got their word; gives the numbers stored and the rejections.
    ///
    /// # Errors
    /// How the session ended.
    pub async fn settled(&mut self, count: usize) -> Result<(Vec<u64>, Vec<v1::Rejection>), Status> {
        let (mut stored, mut rejected) = (Vec::new(), Vec::new());
        while stored.len() + rejected.len() < count {
            if let Down::Acknowledgement(words) = self.next().await? {
                stored.extend(words.stored.iter().flat_map(|run| run.first..=run.last));
                rejected.extend(words.rejected);
            }
        }
        stored.sort_unstable();
        Ok((stored, rejected))
    }
}

/// A greeting that says who it is and nothing else.
fn hello(identity: &Identity, name: &str, epoch: u64) -> v1::Hello {
    v1::Hello {
        agent_id: name.to_owned(),
        epoch,
        instance: identity.instance.to_be_bytes().to_vec(),
        ..Default::default()
    }
}

/// A sample with a processor usage and nothing else.
pub fn sample(timestamp: UnixMillis, usage: f64) -> Sample {
    let mut sample = Sample {
        timestamp,
        ..Default::default()
    };
    sample.cpu.usage_percent = Some(usage);
    sample
}

/// The wall time.
pub fn now() -> UnixMillis {
    SystemClock.now()
}
