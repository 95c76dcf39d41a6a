//! Buffered reading, and the two ways in which bytes are passed on: a body with a known end, and
//! a tunnel.

use crate::budget::{Meter, Over};
use crate::chunked::{ChunkError, Decoder, LAST_CHUNK, Step, chunk_head};
use crate::head::Framing;
use crate::replace::Replacer;
use crate::scan::{BodyScanner, Refused};
use crate::websocket::{FrameError, Frames};
use std::borrow::Cow;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// A reader with what was read ahead.
#[derive(Debug)]
pub(crate) struct Input<R> {
    io: R,
    buffer: Vec<u8>,
    start: usize,
}

/// How much is read at once for a head or a short body, and for a long one.
const SMALL_READ: usize = 4 * 1024;
const LARGE_READ: usize = 32 * 1024;

impl<R: AsyncRead + Unpin> Input<R> {
    pub(crate) fn new(io: R) -> Self {
        Self { io, buffer: Vec::new(), start: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.buffer.len());
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }

    /// Reads once; 0 at the end of the stream.
    pub(crate) async fn fill(&mut self, size: usize) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.reserve(size);
        self.io.read_buf(&mut self.buffer).await
    }

    /// As `poll_read`, what was read ahead first.
    pub(crate) fn poll_ahead(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ahead = self.bytes();
        if ahead.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let n = ahead.len().min(buf.remaining());
        buf.put_slice(ahead.get(..n).unwrap_or_default());
        self.consume(n);
        Poll::Ready(Ok(()))
    }

    pub(crate) async fn fill_small(&mut self) -> io::Result<usize> {
        self.fill(SMALL_READ).await
    }

    /// The reader and what was read ahead; the buffer is given back to the allocator.
    pub(crate) fn into_parts(self) -> (R, Vec<u8>) {
        let rest = self.bytes().to_vec();
        (self.io, rest)
    }

    /// The same for a reader that is only lent.
    pub(crate) fn take_parts(&mut self) -> (&mut R, Vec<u8>) {
        let rest = self.bytes().to_vec();
        self.buffer = Vec::new();
        self.start = 0;
        (&mut self.io, rest)
    }

    /// Whether a kept-alive stream is still open and silent: bytes without a request are not an
    /// answer to the next one.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if !self.bytes().is_empty() {
            return false;
        }
        let mut byte = [0u8; 1];
        let mut buf = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        Pin::new(&mut self.io).poll_read(&mut cx, &mut buf).is_pending()
    }
}

/// Which side of a relay failed.
#[derive(Debug)]
pub(crate) enum RelayError {
    /// Reading, or what was read makes no sense.
    From(io::Error),
    /// Writing.
    To,
    /// What was read must not go on.
    Refused(Refused),
    /// The budget is spent.
    Over(Over),
}

impl From<Refused> for RelayError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<FrameError> for RelayError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Refused(refused) => Self::Refused(refused),
            FrameError::Malformed(why) => {
                Self::From(io::Error::new(io::ErrorKind::InvalidData, why))
            }
        }
    }
}

impl Filter for Frames {
    fn pass(&mut self, data: &[u8]) -> Result<Vec<u8>, RelayError> {
        Ok(Frames::pass(self, data)?)
    }

    /// A message that is not complete is not sent.
    fn rest(&mut self) -> Result<Vec<u8>, RelayError> {
        Ok(Vec::new())
    }
}

impl From<ChunkError> for RelayError {
    fn from(e: ChunkError) -> Self {
        Self::From(io::Error::new(io::ErrorKind::InvalidData, e))
    }
}

/// Looks at a body on its way, and may change it.
pub(crate) trait Filter: Send {
    /// Takes the next piece and gives what may go on now.
    fn pass(&mut self, data: &[u8]) -> Result<Vec<u8>, RelayError>;
    /// What was held back, once the body has ended.
    fn rest(&mut self) -> Result<Vec<u8>, RelayError>;
}

/// What a request's body goes through: it is counted and scanned.
pub(crate) struct Outgoing {
    pub(crate) scan: BodyScanner,
    pub(crate) meter: Option<Meter>,
    /// Puts secrets in the place of their placeholders, once they were scanned.
    pub(crate) replace: Option<Replacer>,
}

impl Filter for Outgoing {
    fn pass(&mut self, data: &[u8]) -> Result<Vec<u8>, RelayError> {
        if let Some(meter) = &self.meter {
            meter.spend(data.len()).map_err(RelayError::Over)?;
        }
        let scanned = self.scan.pass(data)?;
        Ok(match &mut self.replace {
            Some(replace) => replace.pass(&scanned),
            None => scanned,
        })
    }

    fn rest(&mut self) -> Result<Vec<u8>, RelayError> {
        let scanned = self.scan.rest()?;
        Ok(match &mut self.replace {
            Some(replace) => {
                let mut out = replace.pass(&scanned);
                out.extend(replace.rest());
                out
            }
            None => scanned,
        })
    }
}

/// What an answer goes through where the destination knows secrets.
pub(crate) struct Redact(pub(crate) Replacer);

impl Filter for Redact {
    fn pass(&mut self, data: &[u8]) -> Result<Vec<u8>, RelayError> {
        Ok(self.0.pass(data))
    }

    fn rest(&mut self) -> Result<Vec<u8>, RelayError> {
        Ok(self.0.rest())
    }
}

/// Passes a body on. `head` goes out in front of it, in the same write as what is there of the
/// body. With `encode`, it is written as chunks; without, only its data is.
pub(crate) async fn relay_body<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    from: &mut Input<R>,
    to: &mut W,
    mut head: Vec<u8>,
    framing: Framing,
    encode: bool,
    mut filter: Option<&mut dyn Filter>,
    idle: Duration,
) -> Result<(), RelayError> {
    let read = async |from: &mut Input<R>, size| match timeout(idle, from.fill(size)).await {
        Err(_) => Err(RelayError::From(io::ErrorKind::TimedOut.into())),
        Ok(Err(e)) => Err(RelayError::From(e)),
        Ok(Ok(n)) => Ok(n),
    };
    let cut_short = || RelayError::From(io::ErrorKind::UnexpectedEof.into());
    match framing {
        Framing::None => write(to, &head).await?,
        Framing::Length(mut left) => loop {
            let available = from.bytes();
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(available.len());
            let data = pass(&mut filter, available.get(..n).unwrap_or_default())?;
            let empty = data.is_empty();
            if head.is_empty() && !encode {
                write(to, &data).await?;
            } else {
                push_chunk(&mut head, &data, encode);
            }
            drop(data);
            from.consume(n);
            left -= n as u64;
            if left == 0 {
                push_chunk(&mut head, &pass_rest(&mut filter)?, encode);
                if encode {
                    head.extend_from_slice(LAST_CHUNK);
                }
                write(to, &head).await?;
                break;
            }
            // A body that begins with what has to wait keeps its head back too.
            if !empty || filter.is_none() {
                write(to, &head).await?;
                head = Vec::new();
            }
            turn(filter.is_some()).await;
            let size = if left > SMALL_READ as u64 { LARGE_READ } else { SMALL_READ };
            if read(from, size).await? == 0 {
                return Err(cut_short());
            }
        },
        Framing::Chunked => {
            let mut decoder = Decoder::default();
            let mut out = head;
            while !decoder.is_done() {
                // All that is buffered becomes one piece and one write, however small its chunks.
                let mut gathered = Vec::new();
                while !from.bytes().is_empty() && !decoder.is_done() {
                    let n = match decoder.step(from.bytes())? {
                        Step::Skip(n) => n,
                        Step::Data(n) => {
                            gathered.extend_from_slice(from.bytes().get(..n).unwrap_or_default());
                            n
                        }
                        Step::Done => 0,
                    };
                    from.consume(n);
                }
                let data = pass(&mut filter, &gathered)?;
                let go = !data.is_empty() || filter.is_none() || decoder.is_done();
                push_chunk(&mut out, &data, encode);
                if decoder.is_done() {
                    push_chunk(&mut out, &pass_rest(&mut filter)?, encode);
                    if encode {
                        out.extend_from_slice(LAST_CHUNK);
                    }
                }
                if go && !out.is_empty() {
                    write(to, &out).await?;
                    out.clear();
                }
                turn(filter.is_some()).await;
                if !decoder.is_done() && read(from, LARGE_READ).await? == 0 {
                    return Err(cut_short());
                }
            }
        }
        // Responses only.
        Framing::UntilClose => {
            loop {
                let data = pass(&mut filter, from.bytes())?;
                if head.is_empty() && !encode {
                    write(to, &data).await?;
                } else {
                    push_chunk(&mut head, &data, encode);
                    write(to, &head).await?;
                    head = Vec::new();
                }
                drop(data);
                from.consume(from.bytes().len());
                if read(from, LARGE_READ).await? == 0 {
                    break;
                }
            }
            push_chunk(&mut head, &pass_rest(&mut filter)?, encode);
            if encode {
                head.extend_from_slice(LAST_CHUNK);
            }
            write(to, &head).await?;
        }
    }
    Ok(())
}

/// Lets others have their turn after a piece that was looked at: a client whose bytes are always
/// there would not.
async fn turn(looked: bool) {
    if looked {
        tokio::task::yield_now().await;
    }
}

/// What of the data may go out now.
fn pass<'a>(
    filter: &mut Option<&mut dyn Filter>,
    data: &'a [u8],
) -> Result<Cow<'a, [u8]>, RelayError> {
    match filter {
        Some(filter) => Ok(Cow::Owned(filter.pass(data)?)),
        None => Ok(Cow::Borrowed(data)),
    }
}

fn pass_rest(filter: &mut Option<&mut dyn Filter>) -> Result<Vec<u8>, RelayError> {
    filter.as_mut().map_or_else(|| Ok(Vec::new()), |filter| filter.rest())
}

fn push_chunk(out: &mut Vec<u8>, data: &[u8], encode: bool) {
    // An empty chunk would end the body.
    if data.is_empty() {
        return;
    }
    if encode {
        out.extend_from_slice(&chunk_head(data.len()));
    }
    out.extend_from_slice(data);
    if encode {
        out.extend_from_slice(b"\r\n");
    }
}

async fn write<W: AsyncWrite + Unpin>(to: &mut W, bytes: &[u8]) -> Result<(), RelayError> {
    if bytes.is_empty() {
        return Ok(());
    }
    // TLS keeps what the socket did not take at once until it is flushed.
    let written = async { to.write_all(bytes).await.and(to.flush().await) };
    written.await.map_err(|_| RelayError::To)
}

thread_local! {
    /// One buffer for all tunnels of a thread: an idle tunnel holds no memory for data.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// Reads of one direction before others get their turn.
const TURNS: usize = 16;

/// One direction of a tunnel.
struct Direction<'a> {
    /// Read but not yet taken by the other side.
    pending: Vec<u8>,
    sent: usize,
    state: Flow,
    bytes: u64,
    /// Counts what is read before it goes on.
    meter: Option<Meter>,
    /// Looks at what is read before it goes on.
    filter: Option<&'a mut dyn Filter>,
    /// Why it must not go on.
    ended: Option<RelayError>,
}

#[derive(PartialEq)]
enum Flow {
    Copying,
    Closing,
    Closed,
}

impl<'a> Direction<'a> {
    fn new(pending: Vec<u8>, meter: Option<Meter>, filter: Option<&'a mut dyn Filter>) -> Self {
        Self { pending, sent: 0, state: Flow::Copying, bytes: 0, meter, filter, ended: None }
    }

    /// Ready once this direction has ended in order; an error ends the tunnel.
    fn poll<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        active: &mut bool,
    ) -> Poll<io::Result<()>> {
        for _ in 0..TURNS {
            while self.sent < self.pending.len() {
                let rest = self.pending.get(self.sent..).unwrap_or_default();
                match Pin::new(&mut *to).poll_write(cx, rest) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(n)) => {
                        self.sent += n;
                        self.bytes += n as u64;
                        *active = true;
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            if self.sent > 0 {
                self.pending = Vec::new();
                self.sent = 0;
            }
            match self.state {
                Flow::Closed => return Poll::Ready(Ok(())),
                Flow::Closing => match Pin::new(&mut *to).poll_shutdown(cx) {
                    Poll::Pending => return Poll::Pending,
                    // The other side may be gone already; that is an end too.
                    Poll::Ready(_) => {
                        self.state = Flow::Closed;
                        continue;
                    }
                },
                Flow::Copying => {}
            }
            let step = SCRATCH.with_borrow_mut(|scratch| {
                let mut buf = ReadBuf::new(scratch);
                match Pin::new(&mut *from).poll_read(cx, &mut buf) {
                    Poll::Pending => {
                        // A TLS stream may still hold what its socket did not take.
                        let flushed = Pin::new(&mut *to).poll_flush(cx);
                        return match flushed {
                            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
                            _ => Poll::Pending,
                        };
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Ready(Ok(())) => {}
                }
                *active = true;
                let data = buf.filled();
                if data.is_empty() {
                    self.state = Flow::Closing;
                    return Poll::Ready(Ok(()));
                }
                if let Some(Err(over)) = self.meter.as_ref().map(|meter| meter.spend(data.len())) {
                    self.ended = Some(RelayError::Over(over));
                    return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
                }
                if let Some(filter) = &mut self.filter {
                    match filter.pass(data) {
                        Ok(data) => self.pending = data,
                        Err(error) => {
                            self.ended = Some(error);
                            return Poll::Ready(Err(io::ErrorKind::PermissionDenied.into()));
                        }
                    }
                    return Poll::Ready(Ok(()));
                }
                let written = match Pin::new(&mut *to).poll_write(cx, data) {
                    Poll::Ready(Ok(n)) => n,
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => 0,
                };
                self.bytes += written as u64;
                if let Some(rest @ [_, ..]) = data.get(written..) {
                    self.pending = rest.to_vec();
                }
                Poll::Ready(Ok(()))
            });
            match step {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// What went through a tunnel.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) out: u64,
    pub(crate) back: u64,
}

/// Passes bytes both ways until both sides have ended, one fails, or nothing has moved for
/// `idle`. `ahead` was read from the client already. What goes out is counted by `meter` before
/// it is written, and what does not fit ends the tunnel.
pub(crate) async fn tunnel<R1, W1, R2, W2>(
    client: (&mut R1, &mut W1),
    server: (&mut R2, &mut W2),
    ahead: (Vec<u8>, Vec<u8>),
    meter: Option<Meter>,
    filter: Option<&mut dyn Filter>,
    idle: Duration,
) -> (Traffic, Option<RelayError>)
where
    R1: AsyncRead + Unpin,
    W1: AsyncWrite + Unpin,
    R2: AsyncRead + Unpin,
    W2: AsyncWrite + Unpin,
{
    if let Some(Err(over)) = meter.as_ref().map(|meter| meter.spend(ahead.0.len())) {
        return (Traffic::default(), Some(RelayError::Over(over)));
    }
    let mut filter = filter;
    let ahead_out = match &mut filter {
        Some(filter) => match filter.pass(&ahead.0) {
            Ok(ahead) => ahead,
            Err(error) => return (Traffic::default(), Some(error)),
        },
        None => ahead.0,
    };
    let mut out = Direction::new(ahead_out, meter, filter);
    let mut back = Direction::new(ahead.1, None, None);
    let mut last = Instant::now();
    let mut timer: Pin<Box<Sleep>> = Box::pin(sleep_until(last + idle));
    poll_fn(|cx| {
        let mut active = false;
        let a = out.poll(cx, client.0, server.1, &mut active);
        let b = back.poll(cx, server.0, client.1, &mut active);
        match (a, b) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => return Poll::Ready(()),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(()),
            _ => {}
        }
        if active {
            last = Instant::now();
        }
        // The timer is moved only when it fires, not for every byte.
        while timer.as_mut().poll(cx).is_ready() {
            if last.elapsed() >= idle {
                return Poll::Ready(());
            }
            timer.as_mut().reset(last + idle);
        }
        Poll::Pending
    })
    .await;
    (Traffic { out: out.bytes, back: back.bytes }, out.ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tunnel_passes_both_ways_and_ends_when_both_have() {
        let (mut client, client_side) = tokio::io::duplex(7);
        let (mut server, server_side) = tokio::io::duplex(5);
        let (mut cr, mut cw) = tokio::io::split(client_side);
        let (mut sr, mut sw) = tokio::io::split(server_side);
        let relay = tokio::spawn(async move {
            let ahead = (b"ahead ".to_vec(), Vec::new());
            tunnel(
                (&mut cr, &mut cw),
                (&mut sr, &mut sw),
                ahead,
                None,
                None,
                Duration::from_secs(60),
            )
            .await
        });
        let up = vec![b'u'; 100_000];
        let down = vec![b'd'; 50_000];
        let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
        {
            let (mut client_read, mut client_write) = tokio::io::split(&mut client);
            let (mut server_read, mut server_write) = tokio::io::split(&mut server);
            let (a, b, c, d) = tokio::join!(
                async {
                    client_write.write_all(&up).await?;
                    client_write.shutdown().await
                },
                server_read.read_to_end(&mut got_up),
                async {
                    server_write.write_all(&down).await?;
                    server_write.shutdown().await
                },
                client_read.read_to_end(&mut got_down)
            );
            a.unwrap();
            b.unwrap();
            c.unwrap();
            d.unwrap();
        }
        assert_eq!(got_up, [&b"ahead "[..], &up].concat());
        assert_eq!(got_down, down);
        let (traffic, over) = relay.await.unwrap();
        assert!(over.is_none());
        assert_eq!((traffic.out, traffic.back), (100_006, 50_000));
    }

    #[tokio::test]
    async fn a_silent_tunnel_ends() {
        let (_client, client_side) = tokio::io::duplex(7);
        let (_server, server_side) = tokio::io::duplex(5);
        let (mut cr, mut cw) = tokio::io::split(client_side);
        let (mut sr, mut sw) = tokio::io::split(server_side);
        let ahead = (Vec::new(), Vec::new());
        tunnel(
            (&mut cr, &mut cw),
            (&mut sr, &mut sw),
            ahead,
            None,
            None,
            Duration::from_millis(20),
        )
        .await;
    }
}
