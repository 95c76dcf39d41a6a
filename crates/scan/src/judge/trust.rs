//! How a host stands to the skill.

use crate::code::value::HOLE;
use crate::content::{Content, HostClass};
use crate::purpose::Purpose;
use crate::text::urls::{self, Url};

/// How a host stands to the skill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// The machine itself, documentation.
    Nobody,
    /// Registries and well-known installers.
    Known,
    /// Part of what the skill says it is.
    Declared,
    /// Named in the documents, not declared.
    Mentioned,
    /// Anything else.
    Stranger,
    /// Of a kind that hides who is behind it.
    Hiding,
}

pub(crate) fn trust(content: &Content, purpose: &Purpose, url: &Url) -> Trust {
    let is = |class| url.is(content, class);
    if urls::local(&url.host)
        || is(HostClass::Example)
        || url.host.contains(HOLE)
        || placeholder(&url.host)
    {
        return Trust::Nobody;
    }
    if url.numeric()
        || is(HostClass::Drop)
        || is(HostClass::Tunnel)
        || is(HostClass::Paste)
        || is(HostClass::Shortener)
    {
        return if purpose.declares(content, &url.host, &url.path) && !url.numeric() {
            Trust::Declared
        } else {
            Trust::Hiding
        };
    }
    if is(HostClass::MessengerHook) && !placeholder(&url.path) && url.path.len() > 30 {
        return Trust::Hiding;
    }
    if is(HostClass::Installer) || is(HostClass::Registry) || is(HostClass::Platform) {
        return Trust::Known;
    }
    if is(HostClass::CodeHosting) {
        // Whose repository counts, not whose host.
        let owner =
            url.path.trim_start_matches('/').split('/').take(2).collect::<Vec<_>>().join("-");
        return if purpose.declares(content, &format!("{}.x", owner.to_lowercase()), "") {
            Trust::Declared
        } else {
            Trust::Mentioned
        };
    }
    if purpose.declares(content, &url.host, &url.path) {
        return Trust::Declared;
    }
    if is(HostClass::FileShare) {
        return Trust::Hiding;
    }
    if purpose.mentioned(&url.host) > 2 { Trust::Mentioned } else { Trust::Stranger }
}

/// `YOUR-HOST`, `<host>`, `xxx`, `…`: to be filled in by the user.
pub(crate) fn placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    text.contains(['<', '{', '$', '…', HOLE, '['])
        || [
            "your",
            "xxx",
            "...",
            "example",
            "placeholder",
            "my-",
            "<",
            "host:port",
            "yyy",
            "token_here",
            "000000",
            "abc123",
            "changeme",
        ]
        .iter()
        .any(|w| lower.contains(w))
}

/// A name that is reserved for examples: nobody is behind it, and it is no local address either.
/// What stands there will be put in its place by whoever copies the line.
pub(crate) fn fictive(url: &Url) -> bool {
    !urls::local(&url.host)
        && !url.host.contains(HOLE)
        && !placeholder(&url.host.replace("example", ""))
}
