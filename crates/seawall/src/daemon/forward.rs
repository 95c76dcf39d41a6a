//! Forwards: a loopback port of the host, offered at the same address inside the gateway's
//! namespace, because the operator's own configuration names it as a model provider.
//!
//! A plain relay to one fixed destination. It is closed with the egress proxy. Each connection is in the
//! log before it is made, and how much went each way when it ends.

use crate::clock::now_ms;
use seawall_model::{Event, EventLog, Plane, Severity};
use serde_json::json;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Connections of one forward at a time: a gateway's own use is a few; its agents have others.
const CONNECTIONS: usize = 128;

/// Connections of one forward in a second, since each one costs the log two events. Further ones wait
/// in the kernel's queue; a model provider's client keeps a few open.
const PER_SECOND: u32 = 50;

/// The log has to take an event in this time.
const APPEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves one forward until the sender of `open` is dropped. Connections end when it turns false.
pub(super) async fn serve(
    listener: TcpListener,
    port: u16,
    open: watch::Receiver<bool>,
    log: Arc<dyn EventLog>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut end = open.clone();
    let (mut second, mut taken) = (Instant::now(), 0);
    loop {
        let inside = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((inside, _)) => inside,
                // Out of descriptors, or the client left already: neither ends the forward.
                Err(error) => {
                    tracing::warn!(%error, port, "a forward could not accept a connection");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            changed = end.changed() => match changed { Ok(()) => continue, Err(_) => return },
        };
        if second.elapsed() >= Duration::from_secs(1) {
            (second, taken) = (Instant::now(), 0);
        }
        taken += 1;
        if taken > PER_SECOND {
            sleep_until(second + Duration::from_secs(1)).await;
        }
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let mut open = open.clone();
        if !*open.borrow_and_update() {
            continue;
        }
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let said = event("egress.allowed", port, "the gateway connects to").decision("allow");
            if !matches!(timeout(APPEND_TIMEOUT, log.append(said)).await, Ok(Ok(_))) {
                tracing::error!(
                    port,
                    "a forward's connection was refused: the log does not take it"
                );
                return;
            }
            let why = tokio::select! {
                relayed = relay(inside, port) => match relayed {
                    Ok((sent, received)) => json!({ "sent": sent, "received": received }),
                    Err(error) => json!({ "error": error.to_string() }),
                },
                _ = open.wait_for(|open| !*open) => json!({ "error": "egress closed" }),
            };
            let said = event("egress.closed", port, "the gateway's connection ended:").detail(why);
            let _ = timeout(APPEND_TIMEOUT, log.append(said)).await;
            drop(permit);
        });
    }
}

async fn relay(mut inside: TcpStream, port: u16) -> std::io::Result<(u64, u64)> {
    let mut outside = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    outside.set_nodelay(true)?;
    inside.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut inside, &mut outside).await
}

fn event(kind: &str, port: u16, what: &str) -> Event {
    let summary = format!("{what} 127.0.0.1:{port} of the host (forward)");
    Event::new(now_ms(), Plane::Egress, kind, summary).severity(Severity::Info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_model::LogError;
    use seawall_model::event::Appended;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[derive(Default)]
    struct Memory {
        events: Mutex<Vec<Event>>,
        broken: AtomicBool,
    }

    impl Memory {
        fn kinds(&self) -> Vec<String> {
            self.events.lock().unwrap().iter().map(|e| e.kind.clone()).collect()
        }
    }

    impl EventLog for Memory {
        fn append(&self, event: Event) -> Appended<'_> {
            Box::pin(async move {
                if self.broken.load(Ordering::SeqCst) {
                    return Err(LogError("the disk is full".into()));
                }
                self.events.lock().unwrap().push(event);
                Ok(0)
            })
        }
    }

    #[tokio::test]
    async fn a_forward_relays_while_open_and_cuts_when_closed() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = echo.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut r, mut w) = stream.split();
                    tokio::io::copy(&mut r, &mut w).await
                });
            }
        });
        let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = inside.local_addr().unwrap();
        let (open, watch) = watch::channel(true);
        let log = Arc::new(Memory::default());
        tokio::spawn(serve(inside, port, watch, Arc::clone(&log) as Arc<dyn EventLog>));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"x").await.unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).await.unwrap();
        assert_eq!(log.kinds(), ["egress.allowed"], "in the log before a byte is relayed");
        open.send(false).unwrap();
        assert_eq!(client.read(&mut byte).await.unwrap_or(0), 0);
        let mut refused = TcpStream::connect(address).await.unwrap();
        assert_eq!(refused.read(&mut byte).await.unwrap_or(0), 0);
        // Nothing is relayed that can't be written down.
        log.broken.store(true, Ordering::SeqCst);
        open.send(true).unwrap();
        let mut unlogged = TcpStream::connect(address).await.unwrap();
        unlogged.write_all(b"x").await.ok();
        assert_eq!(unlogged.read(&mut byte).await.unwrap_or(0), 0);
    }
}
