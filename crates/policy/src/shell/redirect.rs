//! Redirections: what a command reads from and writes to beside its arguments.

use super::ast::{Piece, Redirect, RedirectOp, Target};
use super::expand::unknown;
use super::state::{Fd, State};
use super::value::{ANY, NAME, Val, merge};
use super::walk::{Io, Out, Walk, clip};
use super::{Sink, Source};
use seawall_model::Effect;

impl Walk<'_> {
    /// Applies redirections; returns the input and, for standard output, where it goes (`None`:
    /// where it went).
    pub(super) fn redirects(
        &mut self,
        st: &mut State,
        list: &[Redirect],
        io: &Io,
    ) -> (Io, Option<Vec<Sink>>) {
        let mut io = io.clone();
        let mut sinks: Option<Vec<Sink>> = None;
        for redirect in list {
            match &redirect.target {
                Target::Body(body) => {
                    let word = body.get().cloned().unwrap_or_default();
                    let value = self.one(st, &word);
                    self.literal(&value.text);
                    if redirect.fd.unwrap_or(0) == 0 {
                        let mut from = value.from.clone();
                        from.push(Source::Text(clip(&value.text)));
                        io = Io { from, text: Some(value), piped: true };
                    }
                }
                Target::Word(word) => {
                    // bash expands globs here when one file matches.
                    let values = if word.pieces.iter().all(|p| match p {
                        Piece::Bare(text) => !text.contains(['*', '?', '[', '{']),
                        Piece::Param(param) => param.quoted,
                        _ => true,
                    }) {
                        self.text(st, word)
                    } else {
                        let mut values: Vec<Val> =
                            self.fields(st, word).into_iter().flatten().collect();
                        values.extend(self.text(st, word));
                        values
                    };
                    for value in values {
                        self.redirect(st, redirect, &value, &mut io, &mut sinks);
                    }
                }
            }
        }
        (io, sinks)
    }

    fn redirect(
        &mut self,
        st: &mut State,
        redirect: &Redirect,
        value: &Val,
        io: &mut Io,
        sinks: &mut Option<Vec<Sink>>,
    ) {
        match redirect.op {
            RedirectOp::HereString => {
                self.literal(&value.text);
                if redirect.fd.unwrap_or(0) == 0 {
                    let mut from = value.from.clone();
                    from.push(Source::Text(clip(&value.text)));
                    *io = Io { from, text: Some(value.clone()), piped: true };
                }
            }
            RedirectOp::DupIn | RedirectOp::DupOut => {
                let text = value.text.trim_end_matches('-');
                if text.is_empty() && value.is_known() {
                    return; // closes
                }
                if let Ok(fd) = text.parse::<u32>() {
                    let known = st.fds.get(&fd).cloned();
                    let target =
                        redirect.fd.unwrap_or(if redirect.op == RedirectOp::DupIn { 0 } else { 1 });
                    if let Some(open) = known {
                        if target == 0 {
                            *io = Io { from: open.from.clone(), text: None, piped: true };
                        }
                        if target == 1 {
                            *sinks = Some(open.to.clone());
                        }
                        if target > 2 {
                            st.fds.insert(target, open);
                        }
                    } else if target == 1 && fd == 2 {
                        *sinks = None;
                    }
                    return;
                }
                if value.text == NAME.to_string() || value.text.chars().all(|c| c == ANY) {
                    // `>&$fd`: one of the descriptors that this text opened, or a file.
                    if value.has_any() {
                        self.opaque("a redirection to a descriptor that is not known");
                    }
                    let fds: Vec<Fd> = st.fds.values().cloned().collect();
                    for fd in fds {
                        if redirect.op == RedirectOp::DupIn {
                            merge(&mut io.from, &fd.from);
                            io.piped = true;
                            io.text = None;
                        } else {
                            sinks.get_or_insert_default().extend(fd.to);
                        }
                    }
                    return;
                }
                // `>&file`
                self.open(st, redirect, value, false, true, io, sinks);
            }
            RedirectOp::Read => self.open(st, redirect, value, true, false, io, sinks),
            RedirectOp::Write | RedirectOp::Both => {
                self.open(st, redirect, value, false, true, io, sinks);
            }
            RedirectOp::ReadWrite => self.open(st, redirect, value, true, true, io, sinks),
            RedirectOp::HereDoc => {}
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the two ends of a descriptor travel together")]
    fn open(
        &mut self,
        st: &mut State,
        redirect: &Redirect,
        value: &Val,
        reads: bool,
        writes: bool,
        io: &mut Io,
        sinks: &mut Option<Vec<Sink>>,
    ) {
        let mut fd = Fd::default();
        let text = value.text.as_str();
        if let Some(rest) =
            text.strip_prefix("/dev/tcp/").or_else(|| text.strip_prefix("/dev/udp/"))
        {
            let (host, port) = rest.split_once('/').unwrap_or((rest, ""));
            let host = self.request(host, port.parse().ok(), None, true, &value.from);
            fd.from.push(Source::Host(host.clone()));
            fd.to.push(Sink::Host(host));
        } else if text == "/dev/fd/63" {
            // A process substitution.
            fd.from.clone_from(&value.from);
            fd.to.push(Sink::Program(String::new()));
        } else if value.has_any() && text.starts_with(ANY) {
            self.opaque(&format!("a redirection to a file: {}", unknown(text)));
            fd.from.push(Source::Program(String::new()));
            fd.to.push(Sink::File(String::new()));
        } else {
            for path in self.known_paths(st, value, "a redirection to") {
                if reads {
                    self.effect(Effect::Read { path: path.clone() });
                    fd.from.push(Source::File(path.clone()));
                }
                if writes {
                    self.effect(Effect::Write { path: path.clone() });
                    super::special::written(self, &path);
                    fd.to.push(Sink::File(path));
                }
            }
        }
        let default = if writes && !reads { 1 } else { 0 };
        match redirect.fd.unwrap_or(default) {
            0 if redirect.named.is_none() => {
                *io = Io { from: fd.from.clone(), text: None, piped: true };
                if redirect.fd == Some(0) || reads {
                    st.fds.insert(0, fd);
                }
            }
            1 if redirect.named.is_none() => *sinks = Some(fd.to),
            2 if redirect.named.is_none() => {}
            n => {
                st.fds.insert(redirect.fd.unwrap_or(n), fd.clone());
                if let Some(name) = &redirect.named {
                    st.set(name, vec![Val::name()]);
                    let free = 10 + u32::try_from(st.fds.len()).unwrap_or(0);
                    st.fds.insert(free, fd);
                }
            }
        }
        if redirect.named.is_some()
            && redirect.fd.is_none()
            && default < 2
            && let Some(name) = &redirect.named
        {
            st.set(name, vec![Val::name()]);
        }
    }

    /// Hands output to where it was redirected.
    pub(super) fn deliver(&mut self, st: &State, out: Out, sinks: &Option<Vec<Sink>>) -> Out {
        let to = match sinks {
            Some(sinks) => sinks.clone(),
            None if !st.stdout.is_empty() => st.stdout.clone(),
            None => return out,
        };
        let mut from = out.from;
        if let Some(text) = out.text.filter(|t| t.text.len() > 3) {
            merge(&mut from, &[Source::Text(clip(&text.text))]);
        }
        for sink in &to {
            self.flow(&from, sink);
        }
        Out { from: Vec::new(), text: Some(Val::default()) }
    }
}
