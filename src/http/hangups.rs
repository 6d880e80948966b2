//! Whether somebody who waits for a job is still there. The runtime of the connection does not look while it waits for an answer, so that
//! whoever has said all may go on listening; whoever waits for a job and says no more counts as gone, as with gearmand.
use super::watch::watch;
use std::future::{Future, pending, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct PeerEnd(Option<Rc<OwnedFd>>);

impl PeerEnd {
    /// Without descriptors to spare it is never known to be gone before something is sent.
    pub(super) fn of(stream: &impl AsFd) -> PeerEnd {
        PeerEnd(stream.as_fd().try_clone_to_owned().ok().map(Rc::new))
    }

    /// Comes to an end when the peer says no more.
    pub(super) async fn gone(&self) {
        let copy = self.0.as_ref().and_then(|end| end.try_clone().ok());
        let Some(Ok(end)) = copy.map(watch) else {
            return pending().await;
        };
        loop {
            match end.readable().await {
                Ok(ready) if ready.ready().is_read_closed() => return,
                // What is there to be read is the next request.
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => return pending().await,
            }
        }
    }
}

/// Whichever comes first; the first of the two if both are there.
pub(super) async fn first<A, B>(
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> Result<A, B> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| {
        if let Poll::Ready(done) = one.as_mut().poll(context) {
            return Poll::Ready(Ok(done));
        }
        other.as_mut().poll(context).map(Err)
    })
    .await
}
