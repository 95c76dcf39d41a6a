//! A CONNECT: judged and dialled; then what the client sends in it is judged.

use super::{End, Inside, Next, Session, http2, linger};
use crate::exchange::Upstream;
use crate::hello::{self, Opening};
use crate::host::Target;
use crate::identity::Identity;
use crate::policy::{Compiled, Limits};
use crate::proxy::HeldHow;
use crate::record;
use crate::refusal::{Cause, Refusal};
use crate::rhythm;
use crate::rule::{How, Protocol};
use crate::transport::{self, Duplex};
use crate::wire::{Filter, Input, RelayError, tunnel};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A TLS record with the fatal alert `access_denied`: what a TLS client shows as an error of
/// its own instead of a connection that just ends.
const TLS_ACCESS_DENIED: &[u8] = &[0x15, 3, 3, 0, 2, 2, 49];

impl Session<'_> {
    /// A CONNECT: judged, dialled, answered; then what the client sends is judged.
    pub(super) async fn connect<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        identity: &Arc<Identity>,
        target: &Target,
        granted: &[u8],
    ) -> Result<Next, End>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let refused = |refusal| End::Refused(refusal, "CONNECT");
        let admitted = self
            .proxy
            .judge(self.connection, identity, target, HeldHow::Tunnel, None, &[])
            .await
            .map_err(refused)?;
        let addresses = &admitted.addresses;
        let event = record::allowed(identity, target, "CONNECT", &admitted.rule, addresses);
        if self.proxy.policy().intercepts(identity, target).is_some() {
            self.proxy.record(event).await.map_err(refused)?;
            writer.write_all(granted).await?;
            self.opened(reader, writer, identity, target).await;
            return Ok(Next::Close);
        }
        let (recorded, dialled) =
            tokio::join!(self.proxy.record(event), self.proxy.dial(target, addresses));
        recorded.map_err(refused)?;
        let (stream, address) = dialled.map_err(refused)?;
        writer.write_all(granted).await?;
        let mut upstream = Upstream::new(transport::plain(stream), target.clone(), address);
        upstream.meter.clone_from(&admitted.meter);
        // From here the client is inside the tunnel: an HTTP answer of ours would be taken for
        // the destination's.
        let policy = self.proxy.policy();
        if policy.judge(identity, target, How::Carries(Protocol::Raw)).is_ok() {
            self.tunnel(reader, writer, identity, upstream, Protocol::Raw).await;
            return Ok(Next::Close);
        }
        let opening = match self.opening(reader, &policy.limits).await {
            Some(opening) => opening,
            None => return Ok(Next::Close),
        };
        match opening {
            Opening::Tls(hello) => match judge_hello(&policy, identity, target, &hello) {
                Ok(protocol) => self.tunnel(reader, writer, identity, upstream, protocol).await,
                Err(refusal) => {
                    self.proxy.refused(Some(identity), Some(target), "CONNECT", &refusal);
                    let _ = writer.write_all(TLS_ACCESS_DENIED).await;
                }
            },
            Opening::Http => {
                self.inside = Some(Inside { target: target.clone(), tls: false });
                self.identity = Some(Arc::clone(identity));
                Box::pin(self.requests(reader, writer, Some(upstream))).await;
            }
            Opening::Other | Opening::Partial => {
                let refusal = match policy.judge(identity, target, How::Carries(Protocol::Raw)) {
                    Ok(_) => Refusal::new(Cause::Protocol, "the policy changed"),
                    Err(refusal) => refusal,
                };
                self.proxy.refused(Some(identity), Some(target), "CONNECT", &refusal);
            }
        }
        Ok(Next::Close)
    }

    /// [`Self::open`] as one type: what is inside is served by what called it.
    fn opened<'a, R, W>(
        &'a mut self,
        reader: &'a mut Input<R>,
        writer: &'a mut W,
        identity: &'a Arc<Identity>,
        target: &'a Target,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        Box::pin(self.open(reader, writer, identity, target))
    }

    /// Opens the TLS of a tunnel, and serves the requests in it. The destination is dialled for
    /// the first one that is allowed.
    async fn open<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        identity: &Arc<Identity>,
        target: &Target,
    ) where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let limits = self.proxy.policy().limits.clone();
        let Some(opening) = self.opening(reader, &limits).await else { return };
        self.identity = Some(Arc::clone(identity));
        let refusal = match opening {
            Opening::Tls(hello) => match named(target, &hello) {
                Ok(Some(())) => {
                    self.inside = Some(Inside { target: target.clone(), tls: true });
                    match self.inside_tls(reader, writer, target, &limits).await {
                        Ok(()) => return,
                        Err(refusal) => refusal,
                    }
                }
                Ok(None) => Refusal::new(
                    Cause::NameMismatch,
                    format!("TLS to `{target}` shows no server name, and the rule opens it"),
                ),
                Err(refusal) => {
                    let _ = writer.write_all(TLS_ACCESS_DENIED).await;
                    refusal
                }
            },
            // Judged by the rules for plain requests.
            Opening::Http => {
                self.inside = Some(Inside { target: target.clone(), tls: false });
                Box::pin(self.requests(reader, writer, None)).await;
                return;
            }
            Opening::Other | Opening::Partial => Refusal::new(
                Cause::Protocol,
                format!("`{target}` is opened by a rule, and this is neither TLS nor HTTP"),
            ),
        };
        self.proxy.refused(Some(identity), Some(target), "CONNECT", &refusal);
    }

    async fn inside_tls<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        target: &Target,
        limits: &Limits,
    ) -> Result<(), Refusal>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let Some(interception) = self.proxy.interception() else {
            return Err(Refusal::new(Cause::Protocol, "TLS is not opened by any rule"));
        };
        let accepted = interception.accept(Duplex { reader, writer }, target);
        let patience = Duration::from_secs(limits.head_seconds);
        let stream = timeout(patience, accepted).await.unwrap_or_else(|_| {
            let why = format!("TLS of the client to `{target}` did not begin in time");
            Err(Refusal::new(Cause::Protocol, why))
        })?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let identity = self.identity.clone().unwrap_or_default();
            http2::serve(self.proxy, &identity, target, stream, limits).await;
            return Ok(());
        }
        let (read, write) = tokio::io::split(stream);
        // One type for all that is inside, or it would have no end.
        let mut reader = Input::new(Box::new(read) as Box<dyn AsyncRead + Unpin + Send + '_>);
        let mut writer = Box::new(write) as Box<dyn AsyncWrite + Unpin + Send + '_>;
        Box::pin(self.requests(&mut reader, &mut writer, None)).await;
        if std::mem::take(&mut self.told) {
            linger(&mut reader, &mut writer).await;
        } else {
            let _ = timeout(Duration::from_secs(2), writer.shutdown()).await;
        }
        Ok(())
    }

    /// Waits for enough of the client's first bytes to say what they are.
    async fn opening<R: AsyncRead + Unpin>(
        &self,
        reader: &mut Input<R>,
        limits: &Limits,
    ) -> Option<Opening> {
        let read = async {
            loop {
                match hello::classify(reader.bytes()) {
                    Opening::Partial if reader.bytes().len() > 2 * hello::MAX_HELLO => {
                        return Some(Opening::Other);
                    }
                    Opening::Partial => {
                        if reader.fill_small().await.unwrap_or(0) == 0 {
                            return None;
                        }
                    }
                    opening => return Some(opening),
                }
            }
        };
        timeout(Duration::from_secs(limits.head_seconds), read).await.ok().flatten()
    }

    async fn tunnel<R, W>(
        &self,
        reader: &mut Input<R>,
        writer: &mut W,
        identity: &Arc<Identity>,
        upstream: Upstream,
        protocol: Protocol,
    ) where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        // Another rule than that of the CONNECT may be the one that allows the protocol, and its
        // view of the address counts.
        let how = HeldHow::Carries(protocol);
        let known = [upstream.address];
        let judged = self
            .proxy
            .judge(self.connection, identity, &upstream.target, how, Some(&known), &[])
            .await;
        if let Err(refusal) = judged {
            self.proxy.refused(Some(identity), Some(&upstream.target), "CONNECT", &refusal);
            return;
        }
        self.relay(reader, writer, identity, upstream, None).await;
    }

    pub(super) async fn relay<R, W>(
        &self,
        reader: &mut Input<R>,
        writer: &mut W,
        identity: &Arc<Identity>,
        upstream: Upstream,
        filter: Option<&mut dyn Filter>,
    ) where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let begun = Instant::now();
        let idle = Duration::from_secs(self.proxy.policy().limits.tunnel_idle_seconds);
        let Upstream { target, reader: server, writer: mut server_writer, meter, .. } = upstream;
        let (mut server_reader, back) = server.into_parts();
        let (client_reader, ahead) = reader.take_parts();
        let (traffic, ended) = tunnel(
            (client_reader, writer),
            (&mut server_reader, &mut server_writer),
            (ahead, back),
            meter.clone(),
            filter,
            idle,
        )
        .await;
        let refusal = match (ended, meter) {
            (Some(RelayError::Over(over)), Some(meter)) => Some(meter.refusal(identity, over)),
            (Some(RelayError::Refused(refused)), _) => Some(self.content(&refused, &target)),
            (Some(RelayError::From(e)), _) => {
                Some(Refusal::new(Cause::Malformed, format!("the messages to `{target}`: {e}")))
            }
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.proxy.refused(Some(identity), Some(&target), "tunnel", &refusal);
        }
        if rhythm::is_drip(begun.elapsed(), traffic.out, traffic.back) {
            self.proxy.observe(record::slow_tunnel(identity, &target, traffic, begun.elapsed()));
        }
        self.proxy.observe(record::closed(identity, &target, traffic));
    }
}

/// Whether the name in TLS, if there is one, is the name that was asked for.
fn named(target: &Target, hello: &hello::ClientHello) -> Result<Option<()>, Refusal> {
    let mismatch = |why: String| Refusal::new(Cause::NameMismatch, why);
    if hello.odd_name {
        return Err(mismatch(format!("the server name in TLS to `{target}` is malformed")));
    }
    match &hello.server_name {
        Some(name) if *name == target.host => Ok(Some(())),
        Some(name) => Err(mismatch(format!("the server name in TLS to `{target}` is `{name}`"))),
        None => Ok(None),
    }
}

/// The name in TLS is the name that was asked for, or the rule says otherwise.
fn judge_hello(
    policy: &Compiled,
    identity: &Identity,
    target: &Target,
    hello: &hello::ClientHello,
) -> Result<Protocol, Refusal> {
    let protocol = match named(target, hello)? {
        Some(()) => Protocol::Tls,
        None => Protocol::TlsWithoutName,
    };
    let rule = policy.judge(identity, target, How::Carries(protocol))?;
    if hello.ech && !rule.ech {
        return Err(Refusal::new(
            Cause::NameMismatch,
            format!("TLS to `{target}` has Encrypted Client Hello, which can hide another name"),
        )
        .rule(&rule.name)
        .fix(format!(
            "set `ech = true` in the rule `{}`, or turn it off in the client",
            rule.name
        )));
    }
    Ok(protocol)
}
