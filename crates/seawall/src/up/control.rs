//! How the command line reaches the running supervisor: one JSON line each way over a socket that
//! only its owner may open.

use crate::home::Home;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

/// Longest question or answer.
const MAX_LINE: u64 = 1024 * 1024;

/// How long one exchange may take. `config apply` asks the real OpenClaw, which takes seconds.
const WITHIN: Duration = Duration::from_secs(60);

/// A question with the way to answer it.
pub(super) struct Request {
    pub(super) question: Value,
    pub(super) reply: oneshot::Sender<Value>,
}

/// Answers the command line.
pub(super) async fn serve(
    listener: std::os::unix::net::UnixListener,
    requests: mpsc::Sender<Request>,
) {
    let Ok(listener) = tokio::net::UnixListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let requests = requests.clone();
        tokio::spawn(tokio::time::timeout(WITHIN, async move {
            let (reader, mut writer) = stream.into_split();
            let mut line = String::new();
            let mut reader = tokio::io::BufReader::new(reader.take(MAX_LINE));
            if reader.read_line(&mut line).await.is_err() {
                return;
            }
            let Ok(question) = serde_json::from_str(&line) else { return };
            let (reply, answer) = oneshot::channel();
            if requests.send(Request { question, reply }).await.is_err() {
                return;
            }
            if let Ok(value) = answer.await {
                let _ = writer.write_all(format!("{value}\n").as_bytes()).await;
            }
        }));
    }
}

/// Asks the running supervisor. `Ok(None)` when none is running.
pub(crate) fn ask(home: &Home, question: &Value) -> Result<Option<Value>, String> {
    let path = home.control();
    let mut stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(e) => return Err(format!("cannot reach Seawall at `{}`: {e}", path.display())),
    };
    let fail = |e: std::io::Error| format!("Seawall does not answer: {e}");
    stream.set_read_timeout(Some(WITHIN)).map_err(fail)?;
    stream.write_all(format!("{question}\n").as_bytes()).map_err(fail)?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE)).read_line(&mut line).map_err(fail)?;
    serde_json::from_str(&line)
        .map(Some)
        .map_err(|_| "Seawall gave no answer; see its output".to_owned())
}
