//! Request and response heads of HTTP/1.1.
//!
//! httparse splits a head into its fields; what the fields mean together is judged here, and more
//! strictly than RFC 9112 asks: a head that two readers could frame differently is refused. What
//! is forwarded is written anew from what was understood, never the bytes that came in.

use crate::host::{Host, HostError, Target};
use std::mem::MaybeUninit;

/// Most fields in a head. Browsers send about 20.
pub const MAX_FIELDS: usize = 100;

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// That many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Until the connection closes; responses only.
    UntilClose,
}

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `CONNECT host:port`.
    Connect(Target),
    /// `GET http://host/path`: target, and path with query.
    Absolute(Target, String),
    /// `GET /path` with the host from its `Host` field; only inside a tunnel.
    Origin(String),
}

/// A request head that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// Its length in the buffer.
    pub len: usize,
    /// The method.
    pub method: String,
    /// What for.
    pub form: Form,
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether the client speaks HTTP/1.1, not 1.0.
    pub http11: bool,
    /// Whether the client can send another request after this one.
    pub keep_alive: bool,
    /// Value of `Proxy-Authorization`.
    pub credentials: Option<Vec<u8>>,
    /// Host in the `Host` field; the port is absent if the field has none.
    pub host: Option<(Host, Option<u16>)>,
    /// Whether the client asks to speak WebSocket from here on.
    pub websocket: bool,
    /// End-to-end fields as they are forwarded, each with its line end. Framing and `Host` are
    /// written from what was understood and are not in here.
    pub fields: Vec<u8>,
}

/// A response head that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// Its length in the buffer.
    pub len: usize,
    /// The status.
    pub status: u16,
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether the server can take another request after this one.
    pub keep_alive: bool,
    /// Whether the server agreed to speak WebSocket.
    pub websocket: bool,
    /// Whether the body is compressed.
    pub encoded: bool,
    /// Status line and end-to-end fields as they are forwarded, without framing.
    pub fields: Vec<u8>,
}

/// A head that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not HTTP/1.x at all, or a field is malformed.
    #[error("the head is not HTTP/1.1: {0}")]
    Syntax(&'static str),
    /// More than [`MAX_FIELDS`].
    #[error("the head has too many fields")]
    Fields,
    /// The host is not one.
    #[error("{0}")]
    Host(#[from] HostError),
    /// The body could be delimited in more than one way.
    #[error("the length of the body is ambiguous: {0}")]
    Framing(&'static str),
    /// The form of the request target is not for a proxy.
    #[error("the request target is not one for a proxy: {0}")]
    Target(&'static str),
    /// `Host` is missing, there twice, or another than that of the target.
    #[error("the `Host` field {0}")]
    HostField(&'static str),
}

/// Reads a request head; `None` when it is not complete yet.
///
/// # Errors
/// When it is not a head that can be forwarded.
pub fn parse_request(buffer: &[u8]) -> Result<Option<RequestHead>, HeadError> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let len = match httparse::ParserConfig::default().parse_request_with_uninit_headers(
        &mut request,
        buffer,
        &mut fields,
    ) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(e) => return Err(syntax(e)),
    };
    line_ends(buffer, len)?;
    let method = request.method.ok_or(HeadError::Syntax("no method"))?;
    if method.bytes().any(|b| b.is_ascii_lowercase()) {
        // Some servers read them as upper case, and rules would not.
        return Err(HeadError::Syntax("the method is not in upper case"));
    }
    let target = request.path.ok_or(HeadError::Syntax("no target"))?;
    let http11 = request.version == Some(1);

    let scan = scan_fields(request.headers, http11)?;
    if !http11 && scan.chunked {
        return Err(HeadError::Framing("`Transfer-Encoding` in HTTP/1.0"));
    }
    let framing = match (scan.chunked, scan.length) {
        (true, Some(_)) => return Err(HeadError::Framing("it has both a length and chunks")),
        (true, None) => Framing::Chunked,
        (false, Some(0)) if method == "GET" || method == "HEAD" => Framing::None,
        (false, Some(n)) => Framing::Length(n),
        (false, None) => Framing::None,
    };
    if http11 && scan.host.is_none() {
        return Err(HeadError::HostField("is missing"));
    }
    let form = if method == "CONNECT" {
        if framing != Framing::None {
            return Err(HeadError::Framing("CONNECT has no body"));
        }
        Form::Connect(Target::parse(target, None)?)
    } else {
        parse_target(target)?
    };
    let host = match scan.host {
        None => None,
        Some(text) => Some(parse_host_field(text)?),
    };
    let named = match &form {
        Form::Connect(target) => Some((target, None)),
        Form::Absolute(target, _) => Some((target, Some(80))),
        Form::Origin(_) => None,
    };
    if let (Some((target, default)), Some((host, port))) = (named, &host) {
        // Clients differ in whether CONNECT repeats the port here; the name is what a server or
        // a log would be misled by.
        let port_agrees = match (port, default) {
            (Some(port), _) => *port == target.port,
            (None, Some(default)) => default == target.port,
            (None, None) => true,
        };
        if *host != target.host || !port_agrees {
            return Err(HeadError::HostField("names another host than the request target"));
        }
    }
    Ok(Some(RequestHead {
        len,
        method: method.to_owned(),
        form,
        framing,
        http11,
        keep_alive: http11 && !scan.close,
        credentials: scan.credentials.map(<[u8]>::to_vec),
        host,
        websocket: http11 && method == "GET" && framing == Framing::None && scan.upgrade_websocket,
        fields: forwarded(request.headers, &scan),
    }))
}

fn parse_target(target: &str) -> Result<Form, HeadError> {
    if target.starts_with('/') {
        if target.contains('#') {
            return Err(HeadError::Target("it has a fragment"));
        }
        return Ok(Form::Origin(target.to_owned()));
    }
    let scheme_end =
        target.find("://").ok_or(HeadError::Target("it is neither absolute nor a path"))?;
    let (scheme, rest) = target.split_at_checked(scheme_end).ok_or(HeadError::Target("empty"))?;
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(HeadError::Target("use CONNECT for everything but http"));
    }
    let rest = rest.strip_prefix("://").unwrap_or(rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(HeadError::Target("it holds credentials"));
    }
    if path.contains('#') {
        return Err(HeadError::Target("it has a fragment"));
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Form::Absolute(Target::parse(authority, Some(80))?, path))
}

fn parse_host_field(value: &[u8]) -> Result<(Host, Option<u16>), HeadError> {
    let text = std::str::from_utf8(value).map_err(|_| HeadError::HostField("is not a host"))?;
    let has_port = text.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    if has_port {
        let target = Target::parse(text, None)?;
        Ok((target.host, Some(target.port)))
    } else {
        Ok((Host::parse(text)?, None))
    }
}

/// Reads a response head to a request with this method; `None` when it is not complete yet.
///
/// # Errors
/// When it is not a head that can be forwarded.
pub fn parse_response(buffer: &[u8], method: &str) -> Result<Option<ResponseHead>, HeadError> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let len = match httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        buffer,
        &mut fields,
    ) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(e) => return Err(syntax(e)),
    };
    line_ends(buffer, len)?;
    let status = response.code.ok_or(HeadError::Syntax("no status"))?;
    let http11 = response.version == Some(1);
    let scan = scan_fields(response.headers, http11)?;
    let bodiless = method == "HEAD" || status < 200 || status == 204 || status == 304;
    let framing = match (scan.chunked, scan.length) {
        (true, Some(_)) => return Err(HeadError::Framing("it has both a length and chunks")),
        _ if bodiless => Framing::None,
        (true, None) if !http11 => return Err(HeadError::Framing("chunks in HTTP/1.0")),
        (true, None) => Framing::Chunked,
        (false, Some(n)) => Framing::Length(n),
        (false, None) => Framing::UntilClose,
    };
    let mut out = Vec::with_capacity(len + 64);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(response.reason.unwrap_or("").as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&forwarded(response.headers, &scan));
    // A response to HEAD, and a 304, tell the length of what they do not carry.
    if let (true, Some(n)) = (bodiless && status >= 200, scan.length) {
        out.extend_from_slice(format!("Content-Length: {n}\r\n").as_bytes());
    }
    Ok(Some(ResponseHead {
        len,
        status,
        framing,
        keep_alive: http11 && !scan.close && framing != Framing::UntilClose,
        websocket: status == 101 && scan.upgrade_websocket,
        encoded: response.headers.iter().any(|field| {
            field.name.eq_ignore_ascii_case("content-encoding")
                && !field.value.eq_ignore_ascii_case(b"identity")
        }),
        fields: out,
    }))
}

fn syntax(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::Fields,
        httparse::Error::HeaderName => HeadError::Syntax("a field name is malformed"),
        httparse::Error::HeaderValue => HeadError::Syntax("a field value is malformed"),
        httparse::Error::NewLine => HeadError::Syntax("a line end is malformed"),
        httparse::Error::Status => HeadError::Syntax("the status is malformed"),
        httparse::Error::Token => HeadError::Syntax("the first line is malformed"),
        httparse::Error::Version => HeadError::Syntax("the version is not 1.0 or 1.1"),
    }
}

/// Every line ends in CR LF. httparse takes a bare LF, which other readers do not.
fn line_ends(buffer: &[u8], len: usize) -> Result<(), HeadError> {
    let head = buffer.get(..len).unwrap_or(buffer);
    for at in memchr::memchr_iter(b'\n', head) {
        if at == 0 || head.get(at - 1) != Some(&b'\r') {
            return Err(HeadError::Syntax("a line ends in a bare LF"));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Scan<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    upgrade_websocket: bool,
    credentials: Option<&'a [u8]>,
    /// Names that `Connection` declares to be for this hop only.
    hop: Vec<&'a str>,
}

fn scan_fields<'a>(fields: &[httparse::Header<'a>], http11: bool) -> Result<Scan<'a>, HeadError> {
    let mut scan = Scan { close: !http11, ..Scan::default() };
    let mut transfer_encoding = false;
    for field in fields {
        let (name, value) = (field.name, field.value);
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("host") {
            if scan.host.replace(value).is_some() {
                return Err(HeadError::HostField("is there twice"));
            }
        } else if is("content-length") {
            let length = parse_length(value).ok_or(HeadError::Framing("`Content-Length`"))?;
            if scan.length.replace(length).is_some() {
                return Err(HeadError::Framing("`Content-Length` is there twice"));
            }
        } else if is("transfer-encoding") {
            // Only the plain form: each other spelling is chunked to one reader and not to
            // another.
            if transfer_encoding || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(HeadError::Framing("`Transfer-Encoding` is not just `chunked`"));
            }
            transfer_encoding = true;
            scan.chunked = true;
        } else if is("connection") {
            let text = std::str::from_utf8(value)
                .map_err(|_| HeadError::Syntax("`Connection` is malformed"))?;
            for token in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
                if token.eq_ignore_ascii_case("close") {
                    scan.close = true;
                } else if ["content-length", "transfer-encoding", "host"]
                    .iter()
                    .any(|n| token.eq_ignore_ascii_case(n))
                {
                    return Err(HeadError::Framing("`Connection` names a framing field"));
                }
                scan.hop.push(token);
            }
        } else if is("upgrade") {
            scan.upgrade_websocket = value.eq_ignore_ascii_case(b"websocket");
        } else if is("proxy-authorization") && scan.credentials.replace(value).is_some() {
            return Err(HeadError::Syntax("`Proxy-Authorization` is there twice"));
        }
    }
    scan.upgrade_websocket &= scan.hop.iter().any(|t| t.eq_ignore_ascii_case("upgrade"));
    Ok(scan)
}

/// Plain digits: no sign, no list, no white space inside.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Fields that are for one hop, that are written from what was understood, or that speak in the
/// proxy's name.
fn is_hop(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "proxy-status",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.iter().any(|n| name.eq_ignore_ascii_case(n))
        || name.get(..10).is_some_and(|p| p.eq_ignore_ascii_case("x-seawall-"))
}

fn forwarded(fields: &[httparse::Header<'_>], scan: &Scan<'_>) -> Vec<u8> {
    let size = fields.iter().map(|f| f.name.len() + f.value.len() + 4).sum();
    let mut out = Vec::with_capacity(size);
    for field in fields {
        if is_hop(field.name) || scan.hop.iter().any(|h| h.eq_ignore_ascii_case(field.name)) {
            continue;
        }
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Writes the framing field of a head.
pub fn write_framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(n) => {
            out.extend_from_slice(format!("Content-Length: {n}\r\n").as_bytes());
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(text: &str) -> Result<Option<RequestHead>, HeadError> {
        parse_request(text.as_bytes())
    }

    #[test]
    fn forms_for_a_proxy() {
        let connect = request("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
        let connect = connect.unwrap().unwrap();
        assert_eq!(connect.form, Form::Connect(Target::parse("a.test:443", None).unwrap()));
        let get = request(
            "GET http://A.test?q=1 HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: x\r\n\
             Connection: X-Hop\r\nX-Hop: 1\r\nX-Seawall-Rule: mine\r\nAccept: */*\r\n\r\n",
        )
        .unwrap()
        .unwrap();
        assert_eq!(
            get.form,
            Form::Absolute(Target::parse("a.test:80", None).unwrap(), "/?q=1".into())
        );
        assert_eq!(get.fields, b"Accept: */*\r\n");
        assert_eq!(get.credentials.as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let head = |fields: &str| format!("POST http://a.test/ HTTP/1.1\r\n{fields}\r\n");
        for fields in [
            "",
            "Host: a.test\r\nHost: a.test\r\n",
            "Host: b.test\r\n",
            "Host: a.test:81\r\n",
            "Host: a.test@b.test\r\n",
            "Host : a.test\r\n",
            "Host: a.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Host: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Host: a.test\r\nTransfer-Encoding: chunked, chunked\r\n",
            "Host: a.test\r\nTransfer-Encoding: gzip, chunked\r\n",
            "Host: a.test\r\nTransfer-Encoding: identity\r\n",
            "Host: a.test\r\nTransfer-Encoding: xchunked\r\n",
            "Host: a.test\r\nTransfer-Encoding: \x0bchunked\r\n",
            "Host: a.test\r\nTransfer-Encoding : chunked\r\n",
            "Host: a.test\r\nTransfer-Encoding:\r\n chunked\r\n",
            "Host: a.test\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
            "Host: a.test\r\nContent-Length: 1, 1\r\n",
            "Host: a.test\r\nContent-Length: +1\r\n",
            "Host: a.test\r\nContent-Length: -1\r\n",
            "Host: a.test\r\nContent-Length: 0x1\r\n",
            "Host: a.test\r\nContent-Length: 1 1\r\n",
            "Host: a.test\r\nContent-Length: 99999999999999999999\r\n",
            "Host: a.test\r\nContent-Length:\r\n",
            "Host: a.test\r\nConnection: Content-Length\r\nContent-Length: 1\r\n",
            "Host: a.test\r\nX: 1\nContent-Length: 1\r\n",
            "Host: a.test\r\nX: a\r\n b\r\n",
            "Host: a.test\r\nX: a\0b\r\n",
            "Host: a.test\r\nX: a\rb\r\n",
        ] {
            let text = head(fields);
            assert!(request(&text).is_err(), "{text:?} gave {:?}", request(&text));
        }
        for line in [
            "GET  http://a.test/ HTTP/1.1",
            "GET http://a.test/ HTTP/2.0",
            "GET http://a.test/",
            "GET https://a.test/ HTTP/1.1",
            "GET ftp://a.test/ HTTP/1.1",
            "GET http://u:p@a.test/ HTTP/1.1",
            "GET http://a.test/#x HTTP/1.1",
            "GET http:/a.test/ HTTP/1.1",
            "GET http:///a.test/ HTTP/1.1",
            "GET http://a.test\\@b.test/ HTTP/1.1",
            "GET a.test HTTP/1.1",
            "GET * HTTP/1.1",
            "CONNECT a.test HTTP/1.1",
            "CONNECT http://a.test:443 HTTP/1.1",
            "CONNECT /a.test:443 HTTP/1.1",
            "CONNECT a.test:443@b.test:443 HTTP/1.1",
            "CONNECT a.test:443\\ HTTP/1.1",
        ] {
            let text = format!("{line}\r\nHost: a.test\r\n\r\n");
            assert!(request(&text).is_err(), "{text:?} gave {:?}", request(&text));
        }
    }

    #[test]
    fn responses() {
        let parse =
            |text: &str, method| parse_response(text.as_bytes(), method).map(Option::unwrap);
        let head =
            parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Seawall-Decision: x\r\n\r\n", "GET");
        let head = head.unwrap();
        assert_eq!((head.framing, head.keep_alive), (Framing::Length(5), true));
        assert_eq!(head.fields, b"HTTP/1.1 200 OK\r\n");
        let head = parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD").unwrap();
        assert_eq!(head.framing, Framing::None);
        assert!(head.fields.ends_with(b"Content-Length: 5\r\n"));
        let head = parse("HTTP/1.0 200 OK\r\n\r\n", "GET").unwrap();
        assert_eq!((head.framing, head.keep_alive), (Framing::UntilClose, false));
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n",
        ] {
            assert!(parse(text, "GET").is_err(), "{text:?}");
        }
    }

    proptest! {
        /// What is forwarded, with a host and its framing in front, is read as the same request
        /// by another reader: no field of the client's making starts a second one.
        #[test]
        fn what_is_forwarded_has_one_reading(
            fields in proptest::collection::vec(("[A-Za-z-]{1,12}", "[ -~\\t]{0,20}"), 0..8),
            length in proptest::option::of(0u64..1000),
        ) {
            let mut text = String::from("POST http://a.test/x HTTP/1.1\r\nHost: a.test\r\n");
            if let Some(n) = length { text += &format!("Content-Length: {n}\r\n"); }
            for (name, value) in &fields { text += &format!("{name}: {value}\r\n"); }
            text += "\r\n";
            if let Ok(Some(head)) = parse_request(text.as_bytes()) {
                let mut again = b"POST http://a.test/x HTTP/1.1\r\nHost: a.test\r\n".to_vec();
                write_framing(&mut again, head.framing);
                again.extend_from_slice(&head.fields);
                again.extend_from_slice(b"\r\n");
                let second = parse_request(&again).unwrap().unwrap();
                prop_assert_eq!(second.framing, head.framing);
                prop_assert_eq!(second.len, again.len());
                prop_assert_eq!(second.fields, head.fields);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = parse_request(&bytes);
            let _ = parse_response(&bytes, "GET");
        }
    }
}
