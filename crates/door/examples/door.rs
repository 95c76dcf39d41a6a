//! A door in front of a gateway that listens on loopback, to try clients by hand:
//! `cargo run -p seawall-door --example door -- LISTEN GATEWAY`. It prints one token per role, and
//! each event as a line of JSON. Not for use: here the gateway's own port is open to every process of
//! the machine.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for trying things by hand")]

use seawall_door::{BoxFuture, Connect, Door, DoorConfig, DoorTokens, Role};
use seawall_model::event::Appended;
use seawall_model::{Event, EventLog};
use secrecy::ExposeSecret as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

struct Plain(SocketAddr);

impl Connect for Plain {
    fn connect(&self) -> BoxFuture<'_, std::io::Result<TcpStream>> {
        Box::pin(TcpStream::connect(self.0))
    }
}

struct Lines;

impl EventLog for Lines {
    fn append(&self, event: Event) -> Appended<'_> {
        println!("{}", serde_json::to_string(&event).unwrap());
        Box::pin(async { Ok(1) })
    }
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let listen = args.next().unwrap();
    let gateway = args.next().unwrap().parse().unwrap();
    let mut tokens = DoorTokens::new();
    for role in [Role::Viewer, Role::Chat, Role::Operator] {
        let entropy: [u8; 32] = std::array::from_fn(|_| uuid::Uuid::new_v4().as_bytes()[0]);
        let token = tokens.create(role.as_str(), role, None, None, 1, &entropy).unwrap();
        println!("{}: {}", role.as_str(), token.expose_secret());
    }
    let door = Door::new(DoorConfig::default(), Arc::new(Plain(gateway)), Arc::new(Lines)).unwrap();
    door.set_tokens(tokens);
    door.serve(TcpListener::bind(listen).await.unwrap()).await.unwrap();
}
