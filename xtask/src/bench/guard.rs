//! The guard by itself, with this program in the place of supervisor, gateway and plugin: the
//! decisions are timed where the plugin would wait for them.

use crate::tour::seawall;
use crate::tour::target;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use seawall_model::frame::{self, PROTOCOL, ToGuard, ToPlugin};
use seawall_model::{Decision, Origin, Requester, ToolCall};
use serde_json::json;
use std::fs;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Resident memory of the running guard in KiB.
pub(super) fn resident() -> Option<u64> {
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(" guard --home ") {
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            return line.split_whitespace().nth(1)?.parse().ok();
        }
    }
    None
}

/// Times so many decisions, one after another, over the socket that the plugin uses.
pub(super) async fn decide(count: u32) -> Result<Vec<Duration>, String> {
    tokio::task::spawn_blocking(move || blocking(count)).await.map_err(|e| e.to_string())?
}

fn blocking(count: u32) -> Result<Vec<Duration>, String> {
    let say = |e: &dyn std::fmt::Display| format!("guard: {e}");
    let home = seawall::folder().join("default");
    let socket = std::path::Path::new("/tmp/bench-guard.sock");
    let plugin = UnixListener::bind(socket).map_err(|e| say(&e))?;
    let door = TcpListener::bind(("127.0.0.1", 0)).map_err(|e| say(&e))?;
    let egress = TcpListener::bind(("127.0.0.1", 0)).map_err(|e| say(&e))?;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|e| say(&e))?;
    let mut command = std::process::Command::new(target::seawall_program());
    let mut child = command
        .args(["guard", "--home"])
        .arg(&home)
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| say(&e))?;
    tell(&ours, &json!({"type": "sockets"}), &[plugin.as_fd(), door.as_fd()])?;
    // Stands for the factory of the gateway's sockets, which decisions do not need.
    let (factory, _kept) = UnixStream::pair().map_err(|e| say(&e))?;
    let up = json!({"type": "gateway", "boot": 1, "pid": std::process::id(),
        "uid": rustix::process::geteuid().as_raw(), "port": 1, "forwards": []});
    tell(&ours, &up, &[egress.as_fd(), factory.as_fd()])?;
    let timed = talk(socket, count);
    drop(ours);
    let _ = child.wait();
    let _ = fs::remove_file(socket);
    timed
}

fn tell(
    channel: &OwnedFd,
    message: &serde_json::Value,
    fds: &[BorrowedFd<'_>],
) -> Result<(), String> {
    let bytes = message.to_string();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(fds));
    sendmsg(channel, &[IoSlice::new(bytes.as_bytes())], &mut control, SendFlags::empty())
        .map(drop)
        .map_err(|e| format!("guard's channel: {e}"))
}

fn talk(socket: &std::path::Path, count: u32) -> Result<Vec<Duration>, String> {
    let say = |e: &dyn std::fmt::Display| format!("plugin's socket: {e}");
    // The guard refuses until it knows its gateway; both messages lie in its channel already.
    let mut stream = hello(socket)?;
    let mut times = Vec::new();
    for n in 0..u64::from(count) {
        let frame = ToGuard::Decide {
            id: n,
            call_id: format!("call_{n}"),
            origin: Origin {
                agent_id: "main".into(),
                session_key: format!("agent:main:bench-{}", n / 50),
                session_id: Some("bench".into()),
                run_id: Some(format!("run-{}", n / 10)),
                requester: Some(Requester { sender_is_owner: Some(true), ..Requester::default() }),
                workspace: Some(crate::tour::home::workspace().display().to_string()),
            },
            call: ToolCall {
                tool: "exec".into(),
                params: json!({"command": format!("grep -rn 'rope' notes.md | head -n {n}")}),
                derived_paths: Vec::new(),
            },
            can_ask: false,
        };
        let bytes = frame::encode(&frame).map_err(|e| say(&e))?;
        let begun = Instant::now();
        stream.write_all(&bytes).map_err(|e| say(&e))?;
        let answer = read(&mut stream)?;
        times.push(begun.elapsed());
        match answer {
            ToPlugin::Verdict { id, decision: Decision::Allow, .. } if id == n => {}
            other => return Err(format!("not an allow: {other:?}")),
        }
    }
    Ok(times)
}

fn hello(socket: &std::path::Path) -> Result<UnixStream, String> {
    let begun = Instant::now();
    loop {
        let attempt = UnixStream::connect(socket).map_err(|e| e.to_string()).and_then(|mut s| {
            let hello = ToGuard::Hello {
                protocol: PROTOCOL,
                boot_id: "bench".into(),
                openclaw_version: crate::paths::OPENCLAW.into(),
            };
            s.write_all(&frame::encode(&hello).map_err(|e| e.to_string())?)
                .map_err(|e| e.to_string())?;
            read(&mut s).map(|welcome| (s, welcome))
        });
        match attempt {
            Ok((mut stream, ToPlugin::Welcome { .. })) => {
                // Decisions are taken only from a plugin that reports.
                let beat = frame::encode(&ToGuard::Heartbeat { seq: 0, lost: 0 });
                let beat = beat.map_err(|e| e.to_string())?;
                stream.write_all(&beat).map_err(|e| e.to_string())?;
                return Ok(stream);
            }
            Ok((_, other)) => return Err(format!("not a welcome: {other:?}")),
            Err(error) if begun.elapsed() > Duration::from_secs(10) => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn read(stream: &mut UnixStream) -> Result<ToPlugin, String> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).map_err(|e| e.to_string())?;
    let mut body = vec![0; frame::length(head).map_err(|e| e.to_string())?];
    stream.read_exact(&mut body).map_err(|e| e.to_string())?;
    frame::decode(&body).map_err(|e| e.to_string())
}
