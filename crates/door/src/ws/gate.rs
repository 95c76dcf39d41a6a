//! Bounds what may be read from a client before it is known.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that fails after a number of bytes, until it is opened.
pub(crate) struct Gate<S> {
    inner: S,
    left: usize,
    open: Arc<AtomicBool>,
}

/// Takes the bound away.
pub(crate) struct Opener(Arc<AtomicBool>);

impl<S> Gate<S> {
    pub(crate) fn new(inner: S, bytes: usize) -> (Self, Opener) {
        let open = Arc::new(AtomicBool::new(false));
        (Self { inner, left: bytes, open: Arc::clone(&open) }, Opener(open))
    }
}

impl Opener {
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.open.load(Ordering::Acquire) {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("too much was sent before a token was")));
        }
        let before = buf.filled().len();
        let ready = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.left = self.left.saturating_sub(buf.filled().len() - before);
        ready
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn a_stranger_gets_so_much_and_a_guest_all() {
        let bytes = vec![0u8; 100_000];
        let mut out = Vec::new();
        let (mut gate, _opener) = Gate::new(&bytes[..], 1_000);
        assert!(gate.read_to_end(&mut out).await.is_err());
        assert!(out.len() < 10_000, "{}", out.len());
        let (mut gate, opener) = Gate::new(&bytes[..], 1_000);
        opener.open();
        out.clear();
        assert_eq!(gate.read_to_end(&mut out).await.expect("open"), 100_000);
    }
}
