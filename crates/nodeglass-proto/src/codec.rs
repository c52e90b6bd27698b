//! How messages become bytes: as tonic does it, with buffers for calls that are mostly silent, and
//! not those that would become much more than they are.

use std::marker::PhantomData;

use bytes::Buf;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder};

use crate::limits::MAX_DECODED_BYTES;
use crate::shape::Shaped;

/// The length of a message on the wire, before compression.
pub fn encoded_len(message: &impl Message) -> usize {
    message.encoded_len()
}

/// What a call's buffers begin with, for each direction. They grow with what passes, acknowledgements of some tens of bytes
/// mostly; with tonic's 8 KiB the buffers of a connected agent are a quarter of what it costs the server.
const BUFFER_BYTES: usize = 512;
/// Bytes that are gathered before they are sent on.
const SEND_BYTES: usize = 32 << 10;

/// A codec for messages of `prost`'s.
#[derive(Debug)]
pub struct SmallBuffers<Sent, Received>(PhantomData<(Sent, Received)>);

impl<Sent, Received> Default for SmallBuffers<Sent, Received> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Sent, Received> Codec for SmallBuffers<Sent, Received>
where
    Sent: Message + Send + 'static,
    Received: Message + Default + Shaped + Send + 'static,
{
    type Encode = Sent;
    type Decode = Received;
    type Encoder = <ProstCodec<Sent, Received> as Codec>::Encoder;
    type Decoder = Bounded<Received>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<Sent, Received>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        Bounded(ProstCodec::<Sent, Received>::raw_decoder(settings()))
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, SEND_BYTES)
}

/// Decodes messages that don't unfold to more than is taken.
#[derive(Debug)]
pub struct Bounded<Received>(ProstDecoder<Received>);

impl<Received: Message + Default + Shaped> Decoder for Bounded<Received> {
    type Item = Received;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Received>, Status> {
        // All of the message is there, in one piece.
        if Received::shape().decoded_bytes(source.chunk(), MAX_DECODED_BYTES) > MAX_DECODED_BYTES {
            return Err(Status::resource_exhausted(format!(
                "a message that unfolds to more than {MAX_DECODED_BYTES} bytes: send fewer entries at once"
            )));
        }
        self.0.decode(source)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}
