//! A server that speaks the wire and does as the test tells it, so that the real agent can be seen from the other end.

use std::pin::Pin;

use nodeglass_model::{Sample, SampleId};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_proto::packed::Unpacker;
use nodeglass_proto::v1;
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use nodeglass_proto::v1::server_message::Message as Down;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::PATIENCE;

type Outbound = mpsc::Sender<Result<v1::ServerMessage, Status>>;

/// A server on a port of its own, gone when it is dropped.
#[derive(Debug)]
pub struct FakeServer {
    url: String,
    sessions: mpsc::Receiver<FakeSession>,
    serving: JoinHandle<()>,
}

/// One agent's session; it ends when it is dropped.
#[derive(Debug)]
pub struct FakeSession {
    outbound: Outbound,
    inbound: Streaming<v1::AgentMessage>,
    unpacker: Unpacker,
}

/// A batch that an agent sent.
#[derive(Debug)]
pub struct Batch {
    /// The samples under their identities.
    pub samples: Vec<(SampleId, Sample)>,
    /// Whether they are older than what was live.
    pub backfill: bool,
}

struct Service(mpsc::Sender<FakeSession>);

#[tonic::async_trait]
impl AgentService for Service {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<v1::ServerMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (outbound, messages) = mpsc::channel(8);
        let session = FakeSession {
            outbound,
            inbound: request.into_inner(),
            unpacker: Unpacker::default(),
        };
        self.0
            .send(session)
            .await
            .map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }

    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        let token = request.into_inner().token;
        let name = token.strip_prefix("nga_");
        Ok(Response::new(v1::EnrolResponse {
            agent_id: name
                .ok_or_else(|| Status::unauthenticated("no token of ours"))?
                .to_owned(),
            server_id: b"fake".to_vec(),
            certificate: None,
        }))
    }
}

impl FakeServer {
    /// Starts it.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let (opened, sessions) = mpsc::channel(8);
        let service = AgentServiceServer::new(Service(opened));
        let router = tonic::service::Routes::new(service).into_axum_router();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Self {
            url,
            sessions,
            serving,
        }
    }

    /// An enrolment string for a host of that name.
    ///
    /// # Panics
    /// The name is none.
    pub fn enrolment(&self, name: &str) -> String {
        let agent = name.parse().expect("a name");
        Enrolment {
            server: self.url.clone(),
            ca_pin: None,
            agent: Some(agent),
            token: format!("nga_{name}"),
        }
        .encode()
    }

    /// The next session that an agent opens, greeted and welcomed, with its greeting.
    ///
    /// # Panics
    /// None comes.
    pub async fn session(&mut self, settings: v1::Settings) -> (FakeSession, v1::Hello) {
        let next = tokio::time::timeout(PATIENCE, self.sessions.recv())
            .await
            .expect("a session in time");
        let mut session = next.expect("a serving server");
        let Up::Hello(hello) = session.next().await else {
            panic!("the first word is no hello")
        };
        session
            .say(Down::Welcome(v1::Welcome {
                settings: Some(settings),
                ..Default::default()
            }))
            .await;
        (session, *hello)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl FakeSession {
    /// Ends the session with a word.
    pub async fn end(self, status: Status) {
        // An agent that has gone needs no word.
        let _ = self.outbound.send(Err(status)).await;
    }

    /// Sends the agent a message.
    pub async fn say(&self, message: Down) {
        // An agent that has gone shows in what is received.
        let _ = self
            .outbound
            .send(Ok(v1::ServerMessage {
                message: Some(message),
            }))
            .await;
    }

    /// The agent's next message.
    ///
    /// # Panics
    /// Nothing comes.
    pub async fn next(&mut self) -> Up {
        let message = tokio::time::timeout(PATIENCE, self.inbound.message())
            .await
            .expect("a message in time");
        message
            .expect("a session")
            .and_then(|message| message.message)
            .expect("a message")
    }

    /// The next batch of samples, unpacked; what else comes is passed over.
    ///
    /// # Panics
    /// The samples can't be read.
    pub async fn batch(&mut self) -> Batch {
        loop {
            if let Up::Samples(batch) = self.next().await {
                let mut samples = Vec::new();
                let packed = batch.packed.expect("an agent packs its samples");
                self.unpacker
                    .unpack(&packed, batch.backfill, |id, sample| {
                        let sample = sample.expect("a sample that is right");
                        samples.push((id, sample.into_sample()));
                    })
                    .expect("records that can be read");
                return Batch {
                    samples,
                    backfill: batch.backfill,
                };
            }
        }
    }

    /// Says that samples are stored.
    pub async fn acknowledge(&self, epoch: u64, first: u64, last: u64) {
        let stored = vec![v1::SeqRange { epoch, first, last }];
        self.say(Down::Acknowledgement(v1::Acknowledgement {
            stored,
            rejected: Vec::new(),
        }))
        .await;
    }
}
