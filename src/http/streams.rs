//! Bodies of answers: whole, or piece by piece as something happens (server-sent events). What happens is told by others.
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::any::Any;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces that may wait to be sent; whoever makes them waits then.
const PIECES_MAX: usize = 4;

/// What is sent behind the head.
#[derive(Debug)]
pub(super) enum AnswerBody {
    Whole(Bytes),
    /// What others have, too: a slice at a time, so that it is let go of when most of it is sent, and with it what counts it.
    Shared {
        bytes: Bytes,
        _kept: Box<dyn Any>,
    },
    /// Until nobody sends any more. It is let go of when the peer is gone, which the sender hears.
    Pieces(Receiver<Bytes>),
}

/// Bytes of a slice of what is shared.
const SLICE_BYTES: usize = 64 << 10;

impl AnswerBody {
    /// What is shared with others, and what is kept as long as it is.
    pub(super) fn shared(bytes: Bytes, kept: Box<dyn Any>) -> AnswerBody {
        AnswerBody::Shared { bytes, _kept: kept }
    }

    /// One of pieces, and where they go in.
    pub(super) fn pieces() -> (Sender<Bytes>, AnswerBody) {
        let (sender, receiver) = channel(PIECES_MAX);
        (sender, AnswerBody::Pieces(receiver))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            AnswerBody::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            AnswerBody::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            AnswerBody::Shared { bytes, .. } if bytes.is_empty() => Poll::Ready(None),
            AnswerBody::Shared { bytes, .. } => {
                let most = bytes.len().min(SLICE_BYTES);
                Poll::Ready(Some(Ok(Frame::data(bytes.split_to(most)))))
            }
            AnswerBody::Pieces(receiver) => {
                receiver.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, AnswerBody::Whole(bytes) | AnswerBody::Shared { bytes, .. } if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole(bytes) | AnswerBody::Shared { bytes, .. } => {
                SizeHint::with_exact(bytes.len() as u64)
            }
            AnswerBody::Pieces(_) => SizeHint::new(),
        }
    }
}
