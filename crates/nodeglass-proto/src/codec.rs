//! How messages become bytes: as tonic does it, with buffers for calls that are mostly silent.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

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
    Received: Message + Default + Send + 'static,
{
    type Encode = Sent;
    type Decode = Received;
    type Encoder = <ProstCodec<Sent, Received> as Codec>::Encoder;
    type Decoder = <ProstCodec<Sent, Received> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<Sent, Received>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<Sent, Received>::raw_decoder(settings())
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, SEND_BYTES)
}
