//! Which HTTP requests go on, and as what.

use crate::table::TableError;
use http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// What the door does with a path. The order is meant: of two readings the later is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Published files, without a token.
    Static,
    /// Up or not, without a token.
    Probe,
    /// The gateway's own ticket in the address is the credential.
    Ticket,
    /// A token of any role.
    Read,
    /// A token of role chat or operator.
    Chat,
    /// A token of role operator.
    Operator,
    /// Not in the table: never reaches the gateway.
    Unknown,
    /// Refused.
    Never,
}

/// A path with its kind and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'t> {
    /// What the door does.
    pub kind: Kind,
    /// Why.
    pub reason: &'t str,
}

/// The table of routes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routes {
    tested_with: String,
    route: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    kind: Kind,
    reason: String,
    #[serde(default)]
    exact: Vec<String>,
    #[serde(default)]
    prefix: Vec<String>,
}

/// Longest target of a request; session links and tickets need a few hundred bytes.
const MAX_TARGET: usize = 8_192;

/// How often a path is decoded before one that still changes is refused.
const MAX_DECODINGS: usize = 4;

impl Routes {
    /// The table that ships with this version.
    ///
    /// # Errors
    /// When it does not parse, which a test excludes.
    pub fn shipped() -> Result<Self, TableError> {
        toml::from_str(include_str!("../../../content/door/routes.toml"))
            .map_err(|e| TableError { file: "routes.toml", what: e.to_string() })
    }

    /// The gateway's version that the table was compared with.
    #[must_use]
    pub fn tested_with(&self) -> &str {
        &self.tested_with
    }

    /// What a path is. The gateway and its plugins decode and normalise paths in ways of their own,
    /// so the strictest of all readings counts.
    #[must_use]
    pub fn classify(&self, method: &Method, target: &str) -> Route<'_> {
        let never = |reason| Route { kind: Kind::Never, reason };
        if target.len() > MAX_TARGET {
            return never("the address is too long");
        }
        if !target.starts_with('/')
            || target.bytes().any(|b| !(0x21..0x7f).contains(&b) || b == b'\\')
        {
            return never("the address is not a plain path");
        }
        let mut path = target.split(['?', '#']).next().unwrap_or(target).to_owned();
        let mut strictest: Option<Route<'_>> = None;
        for round in 0.. {
            for reading in [path.clone(), normal(&path)] {
                let route = self.lookup(&reading);
                if strictest.is_none_or(|s| s.kind < route.kind) {
                    strictest = Some(route);
                }
            }
            let Ok(decoded) = percent_decode_str(&path).decode_utf8() else {
                return never("the address does not decode to text");
            };
            if decoded == path {
                break;
            }
            if round >= MAX_DECODINGS || decoded.chars().any(|c| c.is_control() || c == '\\') {
                return never("the address is encoded in a way that can't be judged");
            }
            path = decoded.into_owned();
        }
        let route = strictest.unwrap_or(Route { kind: Kind::Unknown, reason: "" });
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let known = matches!(*method, Method::GET | Method::HEAD | Method::POST | Method::OPTIONS);
        match route.kind {
            Kind::Static | Kind::Probe | Kind::Ticket | Kind::Read | Kind::Unknown if !reads => {
                never("only GET and HEAD are taken here")
            }
            _ if !known => never("this HTTP method is not taken"),
            _ => route,
        }
    }

    fn lookup(&self, path: &str) -> Route<'_> {
        let path = path.to_ascii_lowercase();
        let mut best: Option<(usize, Route<'_>)> = None;
        for group in &self.route {
            let exact = group.exact.iter().filter(|e| **e == path).map(|e| e.len() + 1);
            let prefix = group.prefix.iter().filter(|p| {
                path.starts_with(p.as_str()) || p.strip_suffix('/').is_some_and(|bare| bare == path)
            });
            if let Some(len) = exact.chain(prefix.map(String::len)).max()
                && best.is_none_or(|(longest, _)| longest < len)
            {
                best = Some((len, Route { kind: group.kind, reason: &group.reason }));
            }
        }
        best.map_or(Route { kind: Kind::Unknown, reason: "it is in no table" }, |(_, route)| route)
    }
}

/// The path without empty, `.` and `..` segments and without path parameters.
fn normal(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment.split(';').next().unwrap_or(segment) {
            "" | "." => {}
            ".." => {
                out.pop();
            }
            name => out.push(name),
        }
    }
    let slash = if path.ends_with('/') && !out.is_empty() { "/" } else { "" };
    format!("/{}{slash}", out.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(target: &str) -> Kind {
        Routes::shipped().expect("shipped table").classify(&Method::GET, target).kind
    }

    #[test]
    fn paths_have_their_kind() {
        for (target, expected) in [
            ("/", Kind::Static),
            ("/?x=1", Kind::Static),
            ("/assets/index-abc.js", Kind::Static),
            ("/readyz", Kind::Probe),
            ("/control-ui-config.json", Kind::Read),
            ("/avatar/main?meta=1", Kind::Read),
            ("/__openclaw__/link-favicon/https%3A%2F%2Fexample.org", Kind::Read),
            ("/__openclaw__/cap/abc/x", Kind::Ticket),
            ("/v1/chat/completions", Kind::Chat),
            ("/tools/invoke", Kind::Never),
            ("/hooks/agent", Kind::Never),
            ("/__openclaw__/worker", Kind::Never),
            ("/api/rpc", Kind::Never),
            ("/v1/other", Kind::Never),
            ("/chat/main/telegram/12345", Kind::Unknown),
            ("/settings", Kind::Unknown),
            ("/plugins", Kind::Unknown),
            ("/plugins/x/webhook", Kind::Unknown),
        ] {
            assert_eq!(kind(target), expected, "{target}");
        }
    }

    #[test]
    fn no_spelling_makes_a_path_more_lenient() {
        for target in [
            "/TOOLS/invoke",
            "/%74ools/invoke",
            "/%2574ools/invoke",
            "/assets/../tools/invoke",
            "/assets/%2e%2e/tools/invoke",
            "/assets/..%2ftools/invoke",
            "/assets/..;x/tools/invoke",
            "//tools/invoke",
            "/./tools/invoke",
            "/tools%2finvoke",
            "/assets/\\..\\tools",
            "http://evil/",
            "*",
            "/a%00b",
            "/%ff",
            "/%2525252525252574",
        ] {
            assert_eq!(kind(target), Kind::Never, "{target}");
        }
    }

    #[test]
    fn other_methods_are_refused() {
        let routes = Routes::shipped().expect("shipped table");
        for (method, target) in [
            (Method::POST, "/"),
            (Method::DELETE, "/v1/models"),
            (Method::TRACE, "/readyz"),
            (Method::CONNECT, "/x"),
            (Method::POST, "/somewhere"),
            (Method::POST, "/plugins/x/webhook"),
            (Method::POST, "/__openclaw__/board/x"),
        ] {
            assert_eq!(routes.classify(&method, target).kind, Kind::Never, "{method} {target}");
        }
        assert_eq!(routes.classify(&Method::POST, "/v1/chat/completions").kind, Kind::Chat);
    }

    proptest! {
        #[test]
        fn encoding_a_letter_never_helps(pick in 0usize..12) {
            let path = "/tools/invoke";
            let spelled: String = path
                .char_indices()
                .map(|(i, c)| if i == pick + 1 { format!("%{:02x}", u32::from(c)) } else { c.to_string() })
                .collect();
            prop_assert_eq!(kind(&spelled), Kind::Never);
        }

        #[test]
        fn any_target_has_an_answer(target in ".{0,60}") {
            let _ = kind(&target);
        }
    }
}
