//! Connections with a TLS handshake and one request each, a second: through a tunnel, in which the
//! client shakes hands with the destination, and opened, in which it does with the proxy and the proxy with the
//! destination. `cargo run --release -p seawall-egress --example handshakes [SECONDS]`.
//!
//! Client, proxy and destination are one thread each; what is told of the proxy is its thread's
//! processor time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    unused_imports,
    reason = "a measurement, run by hand, with the helpers of the tests"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::tls::*;
use common::*;
use rustls::ClientConfig;
use rustls::client::Resumption;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const CLIENTS: usize = 8;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs on a thread of its own for the rest of the program.
fn apart<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> (T, i32) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let thread = rustix::thread::gettid().as_raw_nonzero().get();
            assert!(tell.send((work().await, thread)).is_ok());
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
}

/// Processor time of a thread.
fn spent(thread: i32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn main() {
    let seconds = std::env::args().nth(1).map_or(5, |text| text.parse().unwrap());
    let (up, _) = apart(async || tls_upstream("up.test", |_| HELLO.to_vec()).await);
    let port = up.addr.port();
    let tunnel = format!(
        "[hosts]\n\"up.test\" = [\"127.0.0.1\"]\n[[rules]]\nname = \"up\"\nhosts = [\"up.test\"]\n\
         ports = [{port}]\nprivate = [\"127.0.0.1:{port}\"]\n"
    );
    let opening = opened(&up, "");
    let (plain, plain_thread) = apart(async move || start(&tunnel).await);
    let (open, open_thread) = apart(async move || start(&opening).await);
    let direct = trusting_der(up.der.clone());
    let trusting = trusting(&open);
    println!("{CLIENTS} clients, connections with one request each, {seconds} s");
    let fresh = |mut config: ClientConfig| {
        config.resumption = Resumption::disabled();
        config
    };
    for (name, bench, thread, config) in [
        ("tunnel", &plain, plain_thread, fresh(direct.clone())),
        ("opened", &open, open_thread, fresh(trusting.clone())),
        ("tunnel, resumed", &plain, plain_thread, direct),
        ("opened, resumed", &open, open_thread, trusting),
    ] {
        let before = spent(thread);
        let begun = Instant::now();
        let until = begun + Duration::from_secs(seconds);
        let config = Arc::new(config);
        let done: u32 = runtime().block_on(async {
            let client = || {
                let config = Arc::clone(&config);
                async move {
                    let mut done = 0;
                    while Instant::now() < until {
                        let config = ClientConfig::clone(&config);
                        let mut client =
                            TlsClient::new(bench, port, "up.test", config).await.unwrap();
                        let request = format!("GET / HTTP/1.1\r\nHost: up.test:{port}\r\n\r\n");
                        assert!(client.ask(request).await.contains(" 200 "));
                        done += 1;
                    }
                    done
                }
            };
            futures_util::future::join_all((0..CLIENTS).map(|_| client())).await.into_iter().sum()
        });
        let took = begun.elapsed().as_secs_f64();
        let cpu = (spent(thread) - before).as_secs_f64() * 1e6;
        println!(
            "{name:16} {:8.0} a second, {:8.1} us of the proxy for each",
            f64::from(done) / took,
            cpu / f64::from(done)
        );
    }
}
