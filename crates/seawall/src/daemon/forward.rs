//! Forwards: a loopback port of the host, offered at the same address inside the gateway's
//! namespace, because the operator's own configuration names it as a model provider.
//!
//! A plain relay to one fixed destination. It is closed with the egress proxy.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Connections of one forward at a time: a gateway's own use is a few; its agents have others.
const CONNECTIONS: usize = 128;

/// Serves one forward until `open` is dropped. Connections end when it turns false.
pub(super) async fn serve(
    listener: TcpListener,
    port: u16,
    open: watch::Receiver<bool>,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut end = open.clone();
    loop {
        let (mut inside, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            changed = end.changed() => match changed { Ok(()) => continue, Err(_) => return Ok(()) },
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let mut open = open.clone();
        if !*open.borrow_and_update() {
            continue;
        }
        tokio::spawn(async move {
            let relay = async {
                let mut outside = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                outside.set_nodelay(true)?;
                inside.set_nodelay(true)?;
                tokio::io::copy_bidirectional(&mut inside, &mut outside).await
            };
            tokio::select! {
                _ = relay => {}
                _ = open.wait_for(|open| !*open) => {}
            }
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
        tokio::spawn(serve(inside, port, watch));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"x").await.unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).await.unwrap();
        open.send(false).unwrap();
        assert_eq!(client.read(&mut byte).await.unwrap_or(0), 0);
        let mut refused = TcpStream::connect(address).await.unwrap();
        assert_eq!(refused.read(&mut byte).await.unwrap_or(0), 0);
    }
}
