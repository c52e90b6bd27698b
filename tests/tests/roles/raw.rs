//! Methods of gRPC by their descriptors, called with messages that are put together by hand.

use nodeglass_tests::server::Server;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// A method.
#[derive(Debug)]
pub(crate) struct Method {
    /// As it stands in a call's path.
    pub(crate) path: String,
    /// The number of its field `agent_id`, if it has one.
    agent_id: Option<u32>,
}

/// Every method that the descriptors have.
pub(crate) fn methods() -> Vec<Method> {
    let set = FileDescriptorSet::decode(nodeglass_proto::DESCRIPTORS).expect("descriptors");
    let messages: Vec<_> = set
        .file
        .iter()
        .flat_map(|file| {
            file.message_type
                .iter()
                .map(move |message| (format!(".{}.{}", file.package(), message.name()), message))
        })
        .collect();
    let agent_id = |input: &str| {
        let (_, message) = messages.iter().find(|(name, _)| name == input)?;
        let field = message.field.iter().find(|field| field.name() == "agent_id")?;
        Some(field.number().unsigned_abs())
    };
    set.file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file.package(), service)))
        .flat_map(|(package, service)| {
            service
                .method
                .iter()
                .map(move |method| (package, service, method))
        })
        .map(|(package, service, method)| Method {
            path: format!("/{package}.{}/{}", service.name(), method.name()),
            agent_id: agent_id(method.input_type()),
        })
        .collect()
}

/// Calls any method.
pub(crate) struct Client(tonic::client::Grpc<Channel>);

impl Client {
    pub(crate) async fn connect(server: &Server) -> Self {
        let endpoint = Endpoint::from_shared(server.url.clone()).expect("an address");
        Self(tonic::client::Grpc::new(
            endpoint.connect().await.expect("a connection"),
        ))
    }

    /// Calls a method about an agent; gives the status and our code, up to the first message.
    pub(crate) async fn call(&mut self, method: &Method, token: Option<&str>, agent: &str) -> (Code, String) {
        let mut message = Vec::new();
        if let Some(field) = method.agent_id {
            prost::encoding::string::encode(field, &agent.to_owned(), &mut message);
        }
        let mut request = Request::new(message);
        if let Some(token) = token {
            let bearer = format!("Bearer {token}").parse().expect("a token");
            request.metadata_mut().insert("authorization", bearer);
        }
        self.0.ready().await.expect("a connection");
        let path = method.path.parse().expect("a path");
        let answer = match self.0.server_streaming(request, path, Bytes).await {
            Ok(answer) => answer.into_inner().message().await.map(drop),
            Err(status) => Err(status),
        };
        match answer {
            Ok(()) => (Code::Ok, String::new()),
            Err(status) => {
                let name = status
                    .metadata()
                    .get("nodeglass-code")
                    .and_then(|name| name.to_str().ok());
                (status.code(), name.unwrap_or_default().to_owned())
            }
        }
    }
}

/// Messages as they are.
#[derive(Debug, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = prost::bytes::Buf::remaining(buffer);
        Ok(Some(prost::bytes::Buf::copy_to_bytes(buffer, length).to_vec()))
    }
}
