//! The end of a connection on which something may still come: who sends a body that is refused reads the answer when he has sent it. Closed
//! at once, the system would throw the answer away with a reset. So the rest is read and thrown away, within a bound and a time.
use super::bounds::{LINGER_BYTES, LINGER_PAUSE, LINGER_TIME};
use std::future::poll_fn;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

/// Bytes that are thrown away at a time.
const PIECE_BYTES: usize = 16 << 10;

/// Says that no more is sent, and waits until the peer has closed, or has been waited for long enough.
pub(super) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let _ = timeout(LINGER_TIME, async {
        if poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context)).await.is_err() {
            return;
        }
        let mut left = LINGER_BYTES;
        let mut piece = vec![0; PIECE_BYTES];
        while left > 0 {
            let mut read = ReadBuf::new(&mut piece);
            let more = poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut read));
            let Ok(Ok(())) = timeout(LINGER_PAUSE, more).await else { return };
            let count = read.filled().len();
            if count == 0 {
                return;
            }
            left = left.saturating_sub(count);
        }
    })
    .await;
}
