//! One request that the proxy sees: judged, written down, sent; the answer is passed back.

use super::{End, Next, Session, next};
use crate::exchange::{Outcome, Sent, Upstream, exchange, request_head};
use crate::head::{Framing, RequestHead};
use crate::host::Target;
use crate::identity::Identity;
use crate::proxy::{HeldHow, content_refusal};
use crate::record;
use crate::refusal::{Cause, Refusal};
use crate::replace::Replacer;
use crate::scan::{BodyScanner, Refused};
use crate::secret::Place;
use crate::transport;
use crate::websocket::{self, Frames};
use crate::wire::{Filter, Input, Outgoing, relay_body};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Longest body that is gathered when secrets are put into it. Requests to APIs have a few KiB.
const MAX_GATHERED: u64 = 1024 * 1024;

impl Session<'_> {
    /// One plain request: judged, written down, sent; the answer is passed back.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, used once")]
    pub(super) async fn forward<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        identity: &Arc<Identity>,
        head: &RequestHead,
        target: &Target,
        path: &str,
        slot: &mut Option<Upstream>,
    ) -> Result<Next, End>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let refused = |refusal| End::Refused(refusal, "");
        let tls = self.inside.as_ref().is_some_and(|inside| inside.tls);
        let how = HeldHow::Request {
            method: head.method.clone(),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            websocket: head.websocket,
            tls,
        };
        let reusable = slot.as_mut().is_some_and(|u| u.target == *target && u.reader.is_quiet());
        let known = slot.as_ref().filter(|_| reusable).map(|u| [u.address]);
        let known = known.as_ref().map(|k| &k[..]);
        let content = [
            (Place::Url, head.method.as_bytes()),
            (Place::Url, path.as_bytes()),
            (Place::Headers, &head.fields),
        ];
        let admitted = self
            .proxy
            .judge(self.connection, identity, target, how, known, &content)
            .await
            .map_err(refused)?;
        if head.framing != Framing::None
            && !admitted.carries.iter().any(|kind| kind == "*")
            && let Some(coding) = hidden_coding(&head.fields)
        {
            let why = format!(
                "the body to `{target}` is compressed by `{coding}`, which is not looked into"
            );
            return Err(refused(Refusal::new(Cause::Content, why).rule(&admitted.rule).fix(
                "let the client use gzip, deflate or none, or let all pass: carries = [\"*\"]",
            )));
        }
        let addresses = &admitted.addresses;
        let event = record::allowed(identity, target, &head.method, &admitted.rule, addresses);
        let mut upstream = match slot.take().filter(|_| reusable) {
            Some(upstream) => {
                self.proxy.record(event).await.map_err(refused)?;
                upstream
            }
            None => {
                let (recorded, dialled) =
                    tokio::join!(self.proxy.record(event), self.proxy.dial(target, addresses));
                recorded.map_err(refused)?;
                let (stream, address) = dialled.map_err(refused)?;
                let halves = if tls {
                    transport::secure(self.proxy.secure(stream, target).await.map_err(refused)?)
                } else {
                    transport::plain(stream)
                };
                Upstream::new(halves, target.clone(), address)
            }
        };
        let limits = self.proxy.policy().limits.clone();
        let meter = admitted.meter;
        upstream.meter.clone_from(&meter);
        let secrets = self.proxy.secrets();
        let bound = secrets.bound(identity, &target.host, tls);
        let mut carries = admitted.carries;
        carries.extend(bound.carries(Place::Body));
        let swapped = if bound.is_empty() { None } else { bound.body(&head.fields) };
        let mut filter = (head.framing != Framing::None).then(|| Outgoing {
            scan: BodyScanner::new(self.proxy.scanner(), carries.clone())
                .holding(self.proxy.held_by(identity)),
            meter: meter.clone(),
            replace: swapped.clone().map(Replacer::new),
        });
        let over_budget = |over| match &meter {
            Some(meter) => meter.refusal(identity, over),
            None => Refusal::new(Cause::Budget, "the budget is spent"),
        };
        let outgoing_path = bound.url(path);
        let outgoing_fields =
            if bound.is_empty() { head.fields.clone() } else { bound.fields(&head.fields) };
        let outgoing_fields =
            if admitted.narrow { without_overrides(&outgoing_fields) } else { outgoing_fields };
        let outgoing_fields = if head.websocket {
            websocket::without_extensions(&outgoing_fields)
        } else {
            outgoing_fields
        };
        let mut sent =
            Sent { path: &outgoing_path, fields: &outgoing_fields, framing: head.framing, tls };
        let mut from = head.framing;
        let mut whole = Vec::new();
        let mut early = None;
        // With another text in it the body has another length: a short one is gathered to know
        // it, a long one goes in chunks, which not every server takes.
        match (&swapped, head.framing, filter.as_mut()) {
            (Some(_), Framing::Length(n), Some(filter)) if n <= MAX_GATHERED => {
                let idle = Duration::from_secs(limits.tunnel_idle_seconds);
                let gathered =
                    relay_body(reader, &mut whole, Vec::new(), from, false, Some(filter), idle);
                early = gathered.await.err();
                from = Framing::None;
                sent.framing = Framing::Length(whole.len() as u64);
            }
            (Some(_), Framing::Length(_), _) => sent.framing = Framing::Chunked,
            _ => {}
        }
        let mut request = request_head(head, target, &sent);
        request.append(&mut whole);
        if let Some(Err(over)) = meter.as_ref().map(|meter| meter.spend(request.len())) {
            return Err(refused(over_budget(over)));
        }
        let filter = filter.as_mut().map(|filter| -> &mut dyn Filter { filter });
        let redact = bound.answer();
        let (outcome, answered) = match early {
            Some(error) => (Outcome::of_request(error), false),
            None => {
                let framing = (from, sent.framing);
                let redact = redact.as_ref();
                exchange(
                    reader,
                    writer,
                    &mut upstream,
                    head,
                    request,
                    framing,
                    filter,
                    redact,
                    &limits,
                )
                .await
            }
        };
        match outcome {
            Outcome::Over(over) if !answered => {
                let refusal = over_budget(over);
                self.refuse(writer, Some(target), &head.method, &refusal, false).await;
                Ok(Next::Close)
            }
            Outcome::Over(over) => {
                self.proxy.refused(Some(identity), Some(target), &head.method, &over_budget(over));
                Err(End::Gone)
            }
            Outcome::Refused(refused) if !answered => {
                let refusal = self.content(&refused, target).rule(&admitted.rule);
                self.refuse(writer, Some(target), &head.method, &refusal, false).await;
                Ok(Next::Close)
            }
            Outcome::Refused(refused) => {
                let refusal = self.content(&refused, target).rule(&admitted.rule);
                self.proxy.refused(Some(identity), Some(target), &head.method, &refusal);
                Err(End::Gone)
            }
            Outcome::Kept => {
                self.proxy.release(self.connection);
                *slot = Some(upstream);
                Ok(next(head.keep_alive))
            }
            Outcome::Ended => {
                self.proxy.release(self.connection);
                Ok(next(head.keep_alive))
            }
            Outcome::Closed => Ok(Next::Close),
            Outcome::Upgraded => {
                let (scanner, held) = (self.proxy.scanner(), self.proxy.held_by(identity));
                let fresh = move || {
                    BodyScanner::new(Arc::clone(&scanner), carries.clone()).holding(held.clone())
                };
                let mut frames = Frames::new(Box::new(fresh));
                self.relay(reader, writer, identity, upstream, Some(&mut frames)).await;
                Ok(Next::Close)
            }
            // The head of an answer has gone out: only closing tells the client that it is cut.
            Outcome::Failed(_) if answered => Err(End::Gone),
            Outcome::Failed(why) => {
                let refusal = Refusal::new(Cause::Unreachable, format!("`{target}`: {why}"));
                self.refuse(writer, Some(target), &head.method, &refusal, false).await;
                Ok(Next::Close)
            }
        }
    }

    /// How it is told that a body or a message must not go on.
    pub(super) fn content(&self, refused: &Refused, target: &Target) -> Refusal {
        match refused {
            Refused::Found(finding) => {
                let tls = self.inside.as_ref().is_some_and(|inside| inside.tls);
                content_refusal(finding, target, &self.proxy.secrets(), tls)
            }
            Refused::Bomb => {
                Refusal::new(Cause::Content, "the compressed body expands without measure")
            }
            Refused::Busy => {
                Refusal::new(Cause::Limit, "too many compressed bodies are on their way at once")
            }
        }
    }
}

/// The compression of a body that the scan does not undo, if there is one.
fn hidden_coding(fields: &[u8]) -> Option<String> {
    const SEEN: [&[u8]; 4] = [b"gzip", b"x-gzip", b"deflate", b"identity"];
    fields.split(|b| *b == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|b| *b == b':')?)?;
        if !name.eq_ignore_ascii_case(b"content-encoding") {
            return None;
        }
        let mut codings = value.get(1..)?.split(|b| *b == b',').map(<[u8]>::trim_ascii);
        let hidden = codings.find(|c| !SEEN.iter().any(|seen| c.eq_ignore_ascii_case(seen)))?;
        Some(String::from_utf8_lossy(hidden.get(..20).unwrap_or(hidden)).into_owned())
    })
}

/// Fields that make some servers read another method or path than the one that was judged.
const OVERRIDES: [&str; 6] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-uri",
];

fn without_overrides(fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.len());
    for line in fields.split_inclusive(|b| *b == b'\n') {
        let name = line.split(|b| *b == b':').next().unwrap_or_default();
        if !OVERRIDES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
            out.extend_from_slice(line);
        }
    }
    out
}
