//! Secrets that clients hold as placeholders: the value is put in on the way to the hosts that
//! the secret is bound to, and nowhere else.

use crate::host::Host;
use crate::identity::{Glob, Identity, Zone, any_matches};
use crate::policy::PolicyError;
use crate::replace::{Pair, Table};
use crate::rule::HostPattern;
use crate::scan::Canary;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Longest value. Tokens have up to a few thousand bytes.
const MAX_VALUE: usize = 8192;

/// Shorter ones would be met by chance in answers.
const MIN_VALUE: usize = 8;

/// A secret as it is written: where its value is, never the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Names it in refusals.
    pub name: String,
    /// What clients hold: `swph_NAME_` and 32 hex digits.
    pub placeholder: String,
    /// Hosts that get the value.
    pub hosts: Vec<HostPattern>,
    /// File of the value, for its owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Variable of the proxy's environment with the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Where in a request the value may stand.
    #[serde(default = "headers")]
    pub places: Vec<Place>,
    /// Names of the fields in which it may stand, where `places` has headers: a client must not choose
    /// one that the host shows to others.
    #[serde(default = "fields")]
    pub fields: Vec<String>,
    /// Whether the value may go out in plain HTTP, where everybody on the way can read it.
    #[serde(default)]
    pub plain_http: bool,
    /// Zones that may use it; empty is all. So for agents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<Zone>,
    /// Agent ids, globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<Glob>,
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Fields, `Authorization: Basic` included.
    Headers,
    /// Path and query.
    Url,
    /// The body. A host that stores or shows what it is sent shows the value then.
    Body,
}

fn headers() -> Vec<Place> {
    vec![Place::Headers]
}

/// Where APIs take their keys.
fn fields() -> Vec<String> {
    ["authorization", "x-api-key", "api-key", "x-goog-api-key"].map(str::to_owned).to_vec()
}

impl Secret {
    /// Checks it, without its value.
    ///
    /// # Errors
    /// With the field and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.bytes().all(plain) {
            return Err(("name", "must have 1 to 32 of a-z, 0-9 and `-`".into()));
        }
        let random = self.placeholder.strip_prefix(&format!("swph_{}_", self.name));
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if !random.is_some_and(|random| random.len() == 32 && random.bytes().all(digit)) {
            let name = &self.name;
            return Err((
                "placeholder",
                format!(
                    "must be `swph_{name}_` and 32 random hex digits; make it with: \
                     seawall egress placeholder {name}"
                ),
            ));
        }
        if self.hosts.is_empty() || self.hosts.contains(&HostPattern::AnyName) {
            return Err(("hosts", "must name the hosts that get the value; `*` is none".into()));
        }
        if self.places.is_empty() {
            return Err(("places", "is empty, so it is used nowhere".into()));
        }
        let token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if let Some(bad) = self.fields.iter().find(|f| f.is_empty() || !f.bytes().all(token)) {
            return Err(("fields", format!("`{bad}` is not the name of a field")));
        }
        if self.fields.is_empty() && self.places.contains(&Place::Headers) {
            return Err(("fields", "is empty, and `places` has `headers`".into()));
        }
        match (&self.file, &self.env) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            _ => Err(("file", "give either `file` or `env`".into())),
        }
    }

    fn may_stand_in(&self, field: &[u8]) -> bool {
        self.places.contains(&Place::Headers)
            && self.fields.iter().any(|name| field.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn is_at(&self, host: &Host) -> bool {
        self.hosts.iter().any(|pattern| match (pattern, host) {
            (HostPattern::Exact(exact), host) => exact == host,
            (HostPattern::Suffix(domain), Host::Name(name)) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            _ => false,
        })
    }
}

/// A secret with its value. There is no `Debug`: it would show the value.
struct Held {
    secret: Secret,
    value: Zeroizing<Vec<u8>>,
}

/// The secrets of a policy with their values.
#[derive(Default)]
pub struct Secrets {
    held: Vec<Arc<Held>>,
}

impl Secrets {
    /// Reads the values.
    ///
    /// # Errors
    /// When one cannot be read or used. The message never holds any of the value.
    pub fn load(secrets: &[Secret]) -> Result<Self, PolicyError> {
        let mut held = Vec::new();
        for (i, secret) in secrets.iter().enumerate() {
            let wrong = |name: &str, problem: String| PolicyError::Field {
                field: format!("secrets[{i}].{name}"),
                problem,
            };
            let (field, value) = match (&secret.file, &secret.env) {
                (Some(path), _) => ("file", read_file(path)),
                (_, Some(name)) => ("env", read_env(name)),
                _ => ("file", Err("is missing".into())),
            };
            let value = value.map_err(|problem| wrong(field, problem))?;
            check_value(&value).map_err(|problem| wrong(field, problem))?;
            held.push(Arc::new(Held { secret: secret.clone(), value }));
        }
        Ok(Self { held })
    }

    /// What must not leave but to the hosts it is bound to: placeholders, and the values.
    #[must_use]
    pub(crate) fn canaries(&self) -> Vec<Canary> {
        let pair = |held: &Arc<Held>| {
            let name = &held.secret.name;
            [
                Canary {
                    name: format!("placeholder:{name}"),
                    text: held.secret.placeholder.clone().into_bytes(),
                },
                Canary {
                    name: format!("secret:{name}"),
                    // What the scanner keeps of one piece of a body for the next holds so much.
                    text: held.value.iter().take(256).copied().collect(),
                },
            ]
        };
        self.held.iter().flat_map(pair).collect()
    }

    /// Those that a client may send to a host.
    #[must_use]
    pub fn bound(&self, identity: &Identity, host: &Host, tls: bool) -> Bound {
        let may = |held: &&Arc<Held>| {
            let secret = &held.secret;
            secret.is_at(host)
                && (tls || secret.plain_http)
                && (secret.zones.is_empty() || secret.zones.contains(&identity.zone))
                && any_matches(&secret.agents, identity.agent.as_deref())
        };
        // A host may reflect to one client what another one sent.
        let at = |held: &&Arc<Held>| held.secret.is_at(host);
        Bound {
            held: self.held.iter().filter(may).cloned().collect(),
            seen: self.held.iter().filter(at).cloned().collect(),
        }
    }

    /// Why a secret or its placeholder may not go to a host, and what changes it; `kind` is what
    /// the scanner found.
    #[must_use]
    pub(crate) fn refusal(&self, kind: &str, host: &Host, tls: bool) -> Option<(String, String)> {
        let (what, name) = kind.split_once(':')?;
        let what = match what {
            "placeholder" => "the placeholder of the secret",
            "secret" => "the secret",
            _ => return None,
        };
        let held = self.held.iter().find(|held| held.secret.name == name)?;
        let (why, fix) = if !held.secret.is_at(host) {
            (
                "it is not bound to this host",
                format!("add the host to `hosts` of the secret `{name}`"),
            )
        } else if !tls && !held.secret.plain_http {
            (
                "it does not go out in plain HTTP",
                format!(
                    "use https with `intercept = true`, or set `plain_http` of the secret `{name}`"
                ),
            )
        } else {
            (
                "it may not stand here, or is not for this client",
                format!("change `places`, `fields`, `zones` or `agents` of the secret `{name}`"),
            )
        };
        Some((format!("{what} `{name}`: {why}"), fix))
    }
}

/// Secrets that one client may send to one host.
#[derive(Default)]
pub struct Bound {
    held: Vec<Arc<Held>>,
    /// Those that the host gets from anybody.
    seen: Vec<Arc<Held>>,
}

impl Bound {
    /// Whether the host gets no secret from anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Kinds of findings that are no reason to refuse in a URL or a body.
    #[must_use]
    pub fn carries(&self, place: Place) -> Vec<String> {
        self.kinds(|secret| secret.places.contains(&place))
    }

    /// The same for a line of the fields.
    #[must_use]
    pub fn carries_in(&self, line: &[u8]) -> Vec<String> {
        let name = field_name(line);
        self.kinds(|secret| secret.may_stand_in(name))
    }

    fn kinds(&self, may: impl Fn(&Secret) -> bool) -> Vec<String> {
        let at = self.held.iter().filter(|held| may(&held.secret));
        at.flat_map(|held| {
            let name = &held.secret.name;
            [format!("placeholder:{name}"), format!("secret:{name}")]
        })
        .collect()
    }

    fn table(
        &self,
        may: impl Fn(&Secret) -> bool,
        encode: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Option<Arc<Table>> {
        let pairs: Vec<Pair> = self
            .held
            .iter()
            .filter(|held| may(&held.secret))
            .map(|held| Pair {
                from: Zeroizing::new(held.secret.placeholder.clone().into_bytes()),
                to: Zeroizing::new(encode(&held.value)),
            })
            .collect();
        if pairs.is_empty() { None } else { Table::new(pairs) }
    }

    /// Path and query with the values in them.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        match self.table(|secret| secret.places.contains(&Place::Url), percent) {
            // Percent-encoded values are ASCII.
            Some(table) => String::from_utf8_lossy(&table.replace(path.as_bytes())).into_owned(),
            None => path.to_owned(),
        }
    }

    /// Fields with the values in them, each with its line end. Without what would let the answer
    /// come in a form in which a reflected value is not seen: compressed, or in parts.
    #[must_use]
    pub fn fields(&self, fields: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(fields.len() + 64);
        for line in fields.split_inclusive(|b| *b == b'\n') {
            let name = field_name(line);
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("accept-encoding") || is("range") || is("request-range") || is("if-range") {
                continue;
            }
            let table = self.table(|secret| secret.may_stand_in(name), <[u8]>::to_vec);
            match &table {
                Some(table) if is("authorization") => out.extend(authorization(line, table)),
                Some(table) => out.extend(table.replace(line)),
                None => out.extend_from_slice(line),
            }
        }
        out.extend_from_slice(b"Accept-Encoding: identity\r\n");
        out
    }

    /// What replaces placeholders in a body; none if none may stand there.
    #[must_use]
    pub fn body(&self, fields: &[u8]) -> Option<Arc<Table>> {
        let text = String::from_utf8_lossy(fields).to_ascii_lowercase();
        let form = text.lines().any(|line| {
            line.strip_prefix("content-type:")
                .is_some_and(|v| v.trim().starts_with("application/x-www-form-urlencoded"))
        });
        let encode = |value: &[u8]| if form { percent(value) } else { value.to_vec() };
        self.table(|secret| secret.places.contains(&Place::Body), encode)
    }

    /// What replaces values in an answer: as they are, and in the encodings in which hosts show
    /// what they were sent.
    #[must_use]
    pub fn answer(&self) -> Option<Arc<Table>> {
        if self.seen.is_empty() {
            return None;
        }
        let mut pairs = Vec::new();
        for held in &self.seen {
            let mut forms = HashSet::new();
            forms.insert(held.value.to_vec());
            forms.insert(percent(&held.value));
            forms.insert(percent(&held.value).to_ascii_lowercase());
            let hex: String = held.value.iter().map(|b| format!("{b:02x}")).collect();
            forms.insert(hex.to_ascii_uppercase().into_bytes());
            forms.insert(hex.into_bytes());
            forms.extend(written_forms(&held.value));
            // Cut off, as in messages about errors: the rest of it is no use alone.
            let half = held.value.len() / 2;
            if half >= MIN_PART {
                forms.extend(held.value.get(..half).map(<[u8]>::to_vec));
                forms.extend(held.value.get(half..).map(<[u8]>::to_vec));
            }
            forms.extend(base64_forms(&held.value));
            pairs.extend(forms.into_iter().map(|form| Pair {
                from: Zeroizing::new(form),
                to: Zeroizing::new(held.secret.placeholder.clone().into_bytes()),
            }));
        }
        Table::new(pairs)
    }
}

fn field_name(line: &[u8]) -> &[u8] {
    line.split(|b| *b == b':').next().unwrap_or_default()
}

/// Shortest part of a value that is taken for it.
const MIN_PART: usize = 12;

/// The value as JSON, JavaScript, HTML and URLs write it: each as a whole text is written by one
/// of the usual libraries, with everything or as little as possible in its escape.
fn written_forms(value: &[u8]) -> Vec<Vec<u8>> {
    let text = Zeroizing::new(String::from_utf8_lossy(value).into_owned());
    let each = |special: &dyn Fn(char) -> bool, write: &dyn Fn(char) -> String| {
        let mut out = String::with_capacity(2 * text.len());
        for c in text.chars() {
            if special(c) { out.push_str(&write(c)) } else { out.push(c) }
        }
        out.into_bytes()
    };
    let all = |c: char| !c.is_ascii_alphanumeric();
    let most = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~'));
    let html = |c: char| matches!(c, '&' | '<' | '>' | '\'' | '"' | '/' | '`' | '=');
    let marks = |c: char| matches!(c, '&' | '<' | '>');
    let not_slash = |c: char| most(c) && c != '/';
    let named = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        c => format!("&#x{:X};", u32::from(c)),
    };
    let number = |c: char| match c {
        '&' | '<' | '>' => named(c),
        c => format!("&#{};", u32::from(c)),
    };
    let json = |c: char| matches!(c, '&' | '<' | '>' | '+' | '\'' | '=' | '`' | '/');
    let upper = |c: char| format!("\\u{:04X}", u32::from(c));
    let lower = |c: char| format!("\\u{:04x}", u32::from(c));
    let hex = |c: char| format!("\\x{:02x}", u32::from(c));
    let uri = |c: char| format!("%{:02X}", u32::from(c));
    vec![
        each(&|c| c == '/', &|_| "\\/".to_owned()),
        each(&marks, &named),
        each(&|c| marks(c) || c == '\'', &number),
        each(&html, &named),
        each(&html, &number),
        each(&|c| html(c) && c != '/', &named),
        each(&|c| json(c) && c != '/' && c != '=', &upper),
        each(&|c| json(c) && c != '/', &upper),
        each(&json, &upper),
        each(&marks, &lower),
        each(&|c| json(c) && c != '/', &lower),
        each(&all, &upper),
        each(&all, &lower),
        each(&all, &hex),
        each(&|c| json(c) && c != '/', &hex),
        each(&not_slash, &uri),
        text.to_ascii_lowercase().into_bytes(),
        text.to_ascii_uppercase().into_bytes(),
    ]
}

/// What base64 makes of the value inside a longer text, at each of the three offsets, without the
/// digits that depend on what stands beside it.
fn base64_forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for offset in 0..3usize {
        let mut text = Zeroizing::new(vec![0; offset]);
        text.extend_from_slice(value);
        let skip = (offset * 8).div_ceil(6);
        let keep = text.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&*text);
            if let Some(core) = encoded.get(skip..keep) {
                out.push(core.as_bytes().to_vec());
            }
        }
    }
    out
}

/// A line `Authorization:`; inside `Basic` the placeholder is encoded.
fn authorization(line: &[u8], table: &Table) -> Vec<u8> {
    let colon = line.iter().position(|b| *b == b':').unwrap_or(0);
    let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
    let basic = value
        .split_at_checked(6)
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Basic "))
        .and_then(|(_, text)| STANDARD.decode(text.trim_ascii()).ok());
    match basic {
        Some(pair) => {
            let pair = Zeroizing::new(table.replace(&pair));
            let mut out = line.get(..=colon).unwrap_or_default().to_vec();
            out.extend_from_slice(b" Basic ");
            out.extend_from_slice(STANDARD.encode(&*pair).as_bytes());
            out.extend_from_slice(b"\r\n");
            out
        }
        None => table.replace(line),
    }
}

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn percent(value: &[u8]) -> Vec<u8> {
    percent_encode(value, RESERVED).to_string().into_bytes()
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    use std::os::unix::fs::MetadataExt as _;
    let fail = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let file = std::fs::File::open(path).map_err(|e| fail(&e))?;
    let about = file.metadata().map_err(|e| fail(&e))?;
    if !about.is_file() {
        return Err(fail(&"is not a file"));
    }
    if about.mode() & 0o077 != 0 {
        return Err(fail(&"others can read it: chmod 600"));
    }
    let mut value = Zeroizing::new(Vec::with_capacity(MAX_VALUE + 2));
    file.take(MAX_VALUE as u64 + 2).read_to_end(&mut value).map_err(|e| fail(&e))?;
    let end = value.trim_ascii_end().len();
    value.truncate(end);
    Ok(value)
}

fn read_env(name: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    use std::os::unix::ffi::OsStringExt as _;
    let value = std::env::var_os(name).ok_or_else(|| format!("there is no variable `{name}`"))?;
    Ok(Zeroizing::new(value.into_vec()))
}

/// A value can be put into a field, a URL and JSON as it is.
fn check_value(value: &[u8]) -> Result<(), String> {
    if !(MIN_VALUE..=MAX_VALUE).contains(&value.len()) {
        return Err(format!("the value must have {MIN_VALUE} to {MAX_VALUE} bytes"));
    }
    let fits = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
    if !value.iter().all(fits) {
        return Err("the value must be printable ASCII without spaces, `\"` and `\\`".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACEHOLDER: &str = "swph_api_00112233445566778899aabbccddeeff";
    const VALUE: &str = "s3cr+t/valu3&x=";

    fn bound(places: &[Place]) -> Bound {
        let secret = Secret {
            name: "api".into(),
            placeholder: PLACEHOLDER.into(),
            hosts: vec![".api.test".parse().unwrap()],
            file: None,
            env: Some("X".into()),
            places: places.to_vec(),
            fields: fields(),
            plain_http: false,
            zones: vec![],
            agents: vec![],
        };
        secret.check().unwrap();
        let held = Held { secret, value: Zeroizing::new(VALUE.as_bytes().to_vec()) };
        let secrets = Secrets { held: vec![Arc::new(held)] };
        let bound =
            |host: &str, tls| secrets.bound(&Identity::default(), &Host::parse(host).unwrap(), tls);
        for host in ["evil.test", "xapi.test", "api.test.evil.test", "127.0.0.1"] {
            assert!(bound(host, true).is_empty(), "{host}");
        }
        assert!(bound("a.api.test", false).held.is_empty());
        bound("api.test", true)
    }

    #[test]
    fn what_libraries_make_of_a_value_is_known() {
        let forms = written_forms(b"Ab+cd/EF01&xyz==");
        for written in [
            r"Ab\u002Bcd/EF01\u0026xyz==",           // System.Text.Json without `=`
            r"Ab\u002Bcd/EF01\u0026xyz\u003D\u003D", // and with it
            r"Ab+cd/EF01\u0026xyz==",                // Go
            r"Ab+cd\/EF01&xyz==",                    // PHP
            "Ab+cd&#x2F;EF01&amp;xyz&#x3D;&#x3D;",   // mustache
            "Ab+cd/EF01&amp;xyz==",
            "Ab%2Bcd/EF01%26xyz%3D%3D", // Python's quote
            "ab+cd/ef01&xyz==",
        ] {
            assert!(forms.contains(&written.as_bytes().to_vec()), "{written}");
        }
    }

    #[test]
    fn values_take_the_form_of_their_place() {
        let bound = bound(&[Place::Headers, Place::Url, Place::Body]);
        assert_eq!(bound.url(&format!("/v1?k={PLACEHOLDER}")), "/v1?k=s3cr%2Bt%2Fvalu3%26x%3D");
        let basic = STANDARD.encode(format!("user:{PLACEHOLDER}"));
        let fields = format!(
            "X-Api-Key: {PLACEHOLDER}\r\nX-Note: {PLACEHOLDER}\r\nAuthorization: Basic {basic}\r\nAccept-Encoding: gzip\r\nRange: bytes=0-3\r\n"
        );
        let out = String::from_utf8(bound.fields(fields.as_bytes())).unwrap();
        let expected = STANDARD.encode(format!("user:{VALUE}"));
        assert_eq!(
            out,
            format!(
                "X-Api-Key: {VALUE}\r\nX-Note: {PLACEHOLDER}\r\nAuthorization: Basic {expected}\r\nAccept-Encoding: identity\r\n"
            )
        );
        let form = b"Content-Type: application/x-www-form-urlencoded\r\n";
        let body = |fields: &[u8]| bound.body(fields).unwrap().replace(PLACEHOLDER.as_bytes());
        assert_eq!(body(form), percent(VALUE.as_bytes()));
        assert_eq!(body(b""), VALUE.as_bytes());
    }

    #[test]
    fn a_value_goes_only_where_it_may_stand() {
        let bound = bound(&[Place::Headers]);
        assert_eq!(bound.url(PLACEHOLDER), PLACEHOLDER);
        assert!(bound.body(b"").is_none());
        assert!(bound.carries(Place::Body).is_empty());
        assert_eq!(bound.carries_in(b"X-API-Key: x\r\n"), ["placeholder:api", "secret:api"]);
        assert!(bound.carries_in(b"User-Agent: x\r\n").is_empty());
    }

    #[test]
    fn a_reflected_value_is_seen_in_each_form() {
        let table = bound(&[Place::Headers]).answer().unwrap();
        let hex: String = VALUE.bytes().map(|b| format!("{b:02x}")).collect();
        let mut forms = vec![VALUE.to_owned(), hex, VALUE.replace('/', "\\/")];
        forms.push(String::from_utf8(percent(VALUE.as_bytes())).unwrap());
        forms.push(VALUE.replace('&', "&amp;"));
        for before in ["", "x", "xy", "user:"] {
            forms.push(STANDARD.encode(format!("{before}{VALUE} and more")));
            forms.push(URL_SAFE_NO_PAD.encode(format!("{before}{VALUE}")));
        }
        for form in forms {
            let out = table.replace(format!("a {form} b").as_bytes());
            assert!(String::from_utf8(out).unwrap().contains(PLACEHOLDER), "{form}");
        }
    }

    #[test]
    fn errors_do_not_tell_the_value() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value");
        for (text, mode, problem) in [
            ("a value\twith blanks", 0o600, "printable"),
            ("short", 0o600, "8 to 8192"),
            ("0123456789abcdef", 0o640, "chmod 600"),
            ("quote\"quote", 0o600, "printable"),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let secret = Secret {
                name: "api".into(),
                placeholder: PLACEHOLDER.into(),
                hosts: vec!["api.test".parse().unwrap()],
                file: Some(path.clone()),
                env: None,
                places: headers(),
                fields: fields(),
                plain_http: false,
                zones: vec![],
                agents: vec![],
            };
            let error = Secrets::load(std::slice::from_ref(&secret)).err().unwrap().to_string();
            assert!(error.contains(problem) && !error.contains(text), "{error}");
            assert!(error.starts_with("secrets[0].file: "), "{error}");
        }
    }
}
