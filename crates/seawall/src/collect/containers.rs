//! Running containers, from the engine's own socket.

use seawall_audit::facts::{Container, Fact, Mount, Published};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Containers that are looked at in detail.
const MAX_CONTAINERS: usize = 200;
/// An answer about 200 containers has a few megabytes.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;

pub(super) fn containers(state_dir: &Path) -> Fact<Vec<Container>> {
    let socket = sockets().into_iter().find(|path| path.exists());
    let Some(socket) = socket else { return Fact::Known(Vec::new()) };
    match list(&socket, state_dir) {
        Ok(found) => Fact::Known(found),
        Err(why) => Fact::unknown(format!("`{}`: {why}", socket.display()), "sudo seawall audit"),
    }
}

fn sockets() -> Vec<PathBuf> {
    let named = std::env::var("DOCKER_HOST")
        .ok()
        .and_then(|host| host.strip_prefix("unix://").map(PathBuf::from));
    let user = std::env::var_os("XDG_RUNTIME_DIR")
        .map(|dir| PathBuf::from(dir).join("podman/podman.sock"));
    named
        .into_iter()
        .chain(["/var/run/docker.sock".into(), "/run/podman/podman.sock".into()])
        .chain(user)
        .collect()
}

fn list(socket: &Path, state_dir: &Path) -> Result<Vec<Container>, String> {
    let all = get(socket, "/containers/json")?;
    let ids = all.as_array().ok_or("the engine's answer is no list")?;
    let mut out = Vec::new();
    for id in ids.iter().filter_map(|one| one.get("Id")?.as_str()).take(MAX_CONTAINERS) {
        // An id is hexadecimal; anything else does not go into a request.
        if !id.chars().all(|c| c.is_ascii_alphanumeric()) {
            continue;
        }
        out.push(inspected(&get(socket, &format!("/containers/{id}/json"))?, state_dir));
    }
    Ok(out)
}

/// One request of the engine's HTTP interface. Version 1.0, so that the answer is one piece.
fn get(socket: &Path, path: &str) -> Result<Value, String> {
    let mut stream = UnixStream::connect(socket).map_err(|e| e.to_string())?;
    let limit = Some(Duration::from_secs(2));
    stream
        .set_read_timeout(limit)
        .and_then(|()| stream.set_write_timeout(limit))
        .map_err(|e| e.to_string())?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n").map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no answer")?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(head.lines().next().unwrap_or_default().to_owned());
    }
    serde_json::from_str(body).map_err(|e| e.to_string())
}

fn inspected(json: &Value, state_dir: &Path) -> Container {
    let text = |pointer: &str| {
        json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let list = |pointer: &str| strings(json.pointer(pointer));
    let flag = |pointer: &str| json.pointer(pointer) == Some(&Value::Bool(true));
    let mounts: Vec<Mount> = json
        .get("Mounts")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|mount| Mount {
            source: mount.get("Source").and_then(Value::as_str).unwrap_or_default().to_owned(),
            target: mount.get("Destination").and_then(Value::as_str).unwrap_or_default().to_owned(),
            writable: mount.get("RW") == Some(&Value::Bool(true)),
        })
        .collect();
    let mut ports = Vec::new();
    for (inside, bound) in
        json.pointer("/NetworkSettings/Ports").and_then(Value::as_object).into_iter().flatten()
    {
        for one in bound.as_array().into_iter().flatten() {
            let word = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default();
            ports.push(Published {
                address: word("HostIp").to_owned(),
                port: word("HostPort").parse().unwrap_or_default(),
                inside: inside
                    .split('/')
                    .next()
                    .and_then(|port| port.parse().ok())
                    .unwrap_or_default(),
            });
        }
    }
    let mut container = Container {
        name: text("/Name").trim_start_matches('/').to_owned(),
        image: text("/Config/Image"),
        user: text("/Config/User"),
        read_only: flag("/HostConfig/ReadonlyRootfs"),
        privileged: flag("/HostConfig/Privileged"),
        network: text("/HostConfig/NetworkMode"),
        shares: [
            ("PidMode", "pid"),
            ("IpcMode", "ipc"),
            ("UsernsMode", "userns"),
            ("UTSMode", "uts"),
        ]
        .iter()
        .filter(|(key, _)| text(&format!("/HostConfig/{key}")) == "host")
        .map(|(_, kind)| (*kind).to_owned())
        .collect(),
        devices: json
            .pointer("/HostConfig/Devices")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|device| Some(device.get("PathOnHost")?.as_str()?.to_owned()))
            .collect(),
        cap_add: list("/HostConfig/CapAdd"),
        security: list("/HostConfig/SecurityOpt"),
        mounts,
        ports,
        openclaw: false,
        labels: json
            .pointer("/Config/Labels")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(name, _)| name.starts_with("openclaw."))
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
    };
    container.openclaw = concerns(&container, state_dir);
    container
}

/// Whether a container has to do with OpenClaw.
pub(super) fn concerns(container: &Container, state_dir: &Path) -> bool {
    let named = [&container.name, &container.image].iter().any(|text| {
        let lower = text.to_ascii_lowercase();
        lower.contains("openclaw") || lower.contains("clawdbot") || lower.contains("moltbot")
    });
    named
        || !container.labels.is_empty()
        || container.mounts.iter().any(|mount| {
            Path::new(&mount.source) == state_dir || mount.source.contains(".openclaw")
        })
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_engine_says_is_read() {
        let one = inspected(
            &json!({
                "Name": "/oc", "Config": { "Image": "ghcr.io/openclaw/openclaw", "User": "1000" },
                "HostConfig": { "ReadonlyRootfs": true, "NetworkMode": "bridge", "CapAdd": null, "SecurityOpt": ["no-new-privileges"] },
                "Mounts": [{ "Source": "/var/run/docker.sock", "Destination": "/s", "RW": true }],
                "NetworkSettings": { "Ports": { "18789/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "18789" }], "1/tcp": null } }
            }),
            Path::new("/s"),
        );
        assert!(one.openclaw && one.read_only && !one.privileged);
        assert!(one.ports.len() == 1 && one.ports[0].exposed());
        assert_eq!(one.mounts[0].source, "/var/run/docker.sock");
    }

    #[test]
    fn an_engine_that_answers_nonsense_is_could_not_check() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 512];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nnot json");
        });
        assert!(list(&path, Path::new("/")).is_err());
        server.join().unwrap();
    }
}
