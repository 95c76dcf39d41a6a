//! How a refusal is told.

use crate::host::Target;
use serde::Serialize;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// Why something was refused. The names are part of the event vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No rule allows the destination.
    NoRule,
    /// A deny rule names it.
    DenyRule,
    /// A metadata service, by name or by address.
    Metadata,
    /// The name leads to an address that may not be dialled.
    Address,
    /// The request is malformed or ambiguous.
    Malformed,
    /// The names in the request, in TLS and in the tunnel differ.
    NameMismatch,
    /// The tunnel carries a protocol that no rule allows.
    Protocol,
    /// It carries what must not leave.
    Content,
    /// The names that the client asks for carry data.
    Names,
    /// No proof of who asks.
    Unidentified,
    /// The gate is closed.
    Closed,
    /// The event log does not take events.
    Log,
    /// The destination's certificate is not valid.
    Certificate,
    /// The client has spent its budget.
    Budget,
    /// A limit was reached.
    Limit,
    /// The name did not resolve or the destination did not answer. Not a refusal of ours.
    Unreachable,
}

impl Cause {
    /// Status of the HTTP answer.
    #[must_use]
    pub fn status(self) -> (u16, &'static str) {
        match self {
            Self::NoRule
            | Self::DenyRule
            | Self::Metadata
            | Self::Address
            | Self::NameMismatch
            | Self::Content
            | Self::Names
            | Self::Protocol => (403, "Forbidden"),
            Self::Malformed => (400, "Bad Request"),
            Self::Unidentified => (407, "Proxy Authentication Required"),
            Self::Closed | Self::Log => (503, "Service Unavailable"),
            Self::Limit | Self::Budget => (429, "Too Many Requests"),
            Self::Unreachable | Self::Certificate => (502, "Bad Gateway"),
        }
    }

    /// The error type of a `Proxy-Status` field (RFC 9209).
    #[must_use]
    pub fn proxy_status(self) -> &'static str {
        match self {
            Self::NoRule
            | Self::DenyRule
            | Self::Protocol
            | Self::Content
            | Self::Names
            | Self::Budget
            | Self::NameMismatch => "http_request_denied",
            Self::Metadata | Self::Address => "destination_ip_prohibited",
            Self::Certificate => "tls_certificate_error",
            Self::Malformed => "http_request_error",
            Self::Unidentified => "http_request_denied",
            Self::Closed | Self::Log => "destination_unavailable",
            Self::Limit => "connection_limit_reached",
            Self::Unreachable => "destination_unavailable",
        }
    }

    /// The name used in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRule => "no_rule",
            Self::DenyRule => "deny_rule",
            Self::Metadata => "metadata",
            Self::Address => "address",
            Self::Malformed => "malformed",
            Self::NameMismatch => "name_mismatch",
            Self::Protocol => "protocol",
            Self::Content => "content",
            Self::Names => "names",
            Self::Unidentified => "unidentified",
            Self::Closed => "closed",
            Self::Log => "log",
            Self::Certificate => "certificate",
            Self::Budget => "budget",
            Self::Limit => "limit",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A refusal with its reason and what changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind.
    pub cause: Cause,
    /// The rule concerned, if one is.
    pub rule: Option<String>,
    /// Why, one sentence.
    pub why: String,
    /// What the operator does to change it; empty when nothing does.
    pub fix: String,
}

impl Refusal {
    /// A refusal that concerns no rule and that no setting changes.
    pub fn new(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, rule: None, why: why.into(), fix: String::new() }
    }

    /// A destination is an address of this host that looks like any other.
    #[must_use]
    pub fn own_address(target: &Target, address: IpAddr) -> Self {
        let why = format!("`{target}` leads to {address}, an address of this host");
        Self::new(Cause::Address, why).fix(format!(
            "if this service is meant, name it in the rule: private = [\"{}\"]",
            SocketAddr::new(address, target.port)
        ))
    }

    /// Says what changes it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Names the rule.
    #[must_use]
    pub fn rule(mut self, rule: &str) -> Self {
        self.rule = Some(rule.to_owned());
        self
    }

    /// The text that a person or a model reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("Seawall refused this connection: {}\n", self.why);
        if let Some(rule) = &self.rule {
            let _ = writeln!(out, "Rule: {rule}");
        }
        if !self.fix.is_empty() {
            let _ = writeln!(out, "To change it (operator): {}", self.fix);
        }
        out
    }

    /// The whole HTTP/1.1 answer.
    #[must_use]
    pub fn response(&self, keep_alive: bool, head_only: bool) -> Vec<u8> {
        let body = self.text();
        let (status, phrase) = self.cause.status();
        let mut out = format!(
            "HTTP/1.1 {status} {phrase}\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\n\
             Cache-Control: no-store\r\n\
             Proxy-Status: seawall; error={}; details=\"{}\"\r\n\
             X-Seawall-Decision: deny\r\n\
             X-Seawall-Cause: {}\r\n",
            body.len(),
            self.cause.proxy_status(),
            quoted(&self.why),
            self.cause.as_str(),
        );
        if let Some(rule) = &self.rule {
            let _ = write!(out, "X-Seawall-Rule: {}\r\n", quoted(rule));
        }
        if self.cause == Cause::Unidentified {
            out.push_str("Proxy-Authenticate: Basic realm=\"seawall\"\r\n");
        }
        if !keep_alive {
            out.push_str("Connection: close\r\n");
        }
        out.push_str("\r\n");
        if !head_only {
            out.push_str(&body);
        }
        out.into_bytes()
    }
}

/// Printable ASCII without the two characters that end a quoted string, so that no text of a
/// request can end the header that it is quoted in.
fn quoted(text: &str) -> String {
    text.chars()
        .map(|c| if (' '..='~').contains(&c) && c != '"' && c != '\\' { c } else { '\'' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_cannot_be_split_by_what_it_quotes() {
        let refusal =
            Refusal::new(Cause::NoRule, "host `a\r\nSet-Cookie: x\"` is odd").rule("r\r\nX: y");
        let text = String::from_utf8(refusal.response(true, false)).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("\nSet-Cookie"));
        assert!(!head.contains("\nX: y"));
    }

    #[test]
    fn what_a_client_sees() {
        let refusal = Refusal::new(Cause::NoRule, "no rule allows the host `example.com`")
            .fix("add `example.com` to `hosts` of a rule");
        insta::assert_snapshot!(String::from_utf8(refusal.response(false, false)).unwrap().replace('\r', ""), @r#"
        HTTP/1.1 403 Forbidden
        Content-Type: text/plain; charset=utf-8
        Content-Length: 135
        Cache-Control: no-store
        Proxy-Status: seawall; error=http_request_denied; details="no rule allows the host `example.com`"
        X-Seawall-Decision: deny
        X-Seawall-Cause: no_rule
        Connection: close

        Seawall refused this connection: no rule allows the host `example.com`
        To change it (operator): add `example.com` to `hosts` of a rule
        "#);
    }
}
