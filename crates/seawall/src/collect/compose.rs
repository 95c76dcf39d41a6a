//! Compose files beside the deployment, read as Compose reads them. What this reader does not follow
//! (other files, aliases, values from an environment that is not known here) is said.

use super::containers::concerns;
use super::yaml;
use seawall_audit::facts::{Compose, Container, Fact, Mount, Published};
use serde_json::{Map, Value};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

const MAX_COMPOSE: u64 = 1024 * 1024;
/// Services of one file, and ports of one range: a file has a handful.
const MAX_SERVICES: usize = 200;
const MAX_RANGE: u16 = 64;
const NAMES: &[&str] =
    &["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// Compose files in the folders where people keep them.
pub(super) fn compose(state_dir: &Path, home: &Path) -> Fact<Vec<Compose>> {
    // What lies in a folder of OpenClaw's belongs to it, whatever it is called.
    let mut folders: Vec<(PathBuf, bool)> = [
        state_dir.to_owned(),
        home.join("openclaw"),
        "/opt/openclaw".into(),
        "/srv/openclaw".into(),
    ]
    .map(|folder| (folder, true))
    .into();
    for folder in [home.to_owned(), std::env::current_dir().unwrap_or_default()] {
        if !folders.iter().any(|(known, _)| *known == folder) {
            folders.push((folder, false));
        }
    }
    let mut out = Vec::new();
    for (folder, own) in folders {
        for path in NAMES.iter().map(|name| folder.join(name)) {
            let mut text = String::new();
            let read = crate::deploy::open_file(&path)
                .and_then(|file| file.take(MAX_COMPOSE + 1).read_to_string(&mut text));
            let unread = |why: String| Compose {
                path: path.clone(),
                unread: vec![why],
                ..Compose::default()
            };
            match read {
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(e) => out.push(unread(e.to_string())),
                Ok(_) => match yaml::parse(&text).filter(|_| text.len() as u64 <= MAX_COMPOSE) {
                    Some(json) => out.extend(file(&json, &path, own, state_dir, home)),
                    None if own || text.to_ascii_lowercase().contains("openclaw") => {
                        out.push(unread("is not YAML, too large, or has aliases".into()));
                    }
                    None => {}
                },
            }
        }
    }
    Fact::Known(out)
}

fn file(json: &Value, path: &Path, own: bool, state_dir: &Path, home: &Path) -> Option<Compose> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut out = Compose { path: path.to_owned(), ..Compose::default() };
    let services = json.get("services").and_then(Value::as_object);
    if json.get("include").is_some() && (own || json.to_string().contains("openclaw")) {
        out.unread.push("`include` brings other files, which were not read".into());
    }
    for (name, service) in services.into_iter().flatten().take(MAX_SERVICES) {
        let mut reader = Reader { folder, home, volumes: json.get("volumes"), unread: Vec::new() };
        let mut container = reader.service(name, service);
        let built = service.get("build").is_some() || container.image.is_empty();
        let gateway = container.ports.iter().any(|port| port.inside == 18789);
        let mounted =
            container.mounts.iter().any(|mount| state_dir.starts_with(Path::new(&mount.source)));
        if concerns(&container, state_dir) || gateway || mounted || (own && built) {
            container.openclaw = true;
            out.services.push(container);
            let said = reader.unread.into_iter().map(|what| format!("service `{name}`: {what}"));
            out.unread.extend(said);
        }
    }
    (!out.services.is_empty() || !out.unread.is_empty()).then_some(out)
}

/// Reads one service.
struct Reader<'a> {
    folder: &'a Path,
    home: &'a Path,
    /// The file's named volumes.
    volumes: Option<&'a Value>,
    unread: Vec<String>,
}

impl Reader<'_> {
    fn service(&mut self, name: &str, service: &Value) -> Container {
        if service.get("extends").is_some() {
            self.unread.push("`extends` takes settings from elsewhere, which were not read".into());
        }
        let image = self.text(service, "image");
        let user = self.text(service, "user");
        let mut ports = Vec::new();
        for port in list(service.get("ports")) {
            match self.published(port) {
                Some(found) => ports.extend(found),
                None => self.unread.push(format!("the port {port} is not understood")),
            }
        }
        let mounts = list(service.get("volumes")).filter_map(|one| self.mount(one)).collect();
        let mut shares: Vec<String> = Vec::new();
        for (key, kind) in
            [("pid", "pid"), ("ipc", "ipc"), ("userns_mode", "userns"), ("uts", "uts")]
        {
            if self.text(service, key) == "host" {
                shares.push(kind.into());
            }
        }
        Container {
            name: name.to_owned(),
            // Without one, the image's own holds: the official image has `node`.
            user: if user.is_empty() && image.contains("openclaw") { "node".into() } else { user },
            image,
            read_only: self.flag(service, "read_only"),
            privileged: self.flag(service, "privileged"),
            network: self.text(service, "network_mode"),
            shares,
            devices: self
                .texts(service, "devices")
                .into_iter()
                .map(|text| text.split(':').next().unwrap_or_default().to_owned())
                .collect(),
            cap_add: self.texts(service, "cap_add"),
            security: self.texts(service, "security_opt"),
            mounts,
            ports,
            ..Container::default()
        }
    }

    fn text(&mut self, service: &Value, key: &str) -> String {
        match service.get(key) {
            Some(Value::String(text)) => self.filled(text),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(value)) => value.to_string(),
            _ => String::new(),
        }
    }

    fn texts(&mut self, service: &Value, key: &str) -> Vec<String> {
        let all: Vec<String> =
            list(service.get(key)).filter_map(Value::as_str).map(str::to_owned).collect();
        all.iter().map(|text| self.filled(text)).collect()
    }

    /// Compose takes these words for a switch, quoted or not.
    fn flag(&mut self, service: &Value, key: &str) -> bool {
        let text = self.text(service, key).to_ascii_lowercase();
        matches!(text.as_str(), "true" | "yes" | "y" | "on")
    }

    /// `${NAME:-default}` and its like. Home and the file's folder are known; what else the
    /// environment says when it starts is not.
    fn filled(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((head, tail)) = rest.split_once('$') {
            out.push_str(head);
            if let Some(after) = tail.strip_prefix('$') {
                out.push('$');
                rest = after;
                continue;
            }
            let (inner, after) = match tail.strip_prefix('{').and_then(|t| t.split_once('}')) {
                Some(found) => found,
                None => {
                    let end = tail
                        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                        .unwrap_or(tail.len());
                    tail.split_at(end)
                }
            };
            rest = after;
            let end =
                inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
            let (name, default) = inner.split_at(end);
            match name {
                "HOME" => out.push_str(&self.home.to_string_lossy()),
                "PWD" => out.push_str(&self.folder.to_string_lossy()),
                _ => {
                    let default = default.strip_prefix(":-").or_else(|| default.strip_prefix('-'));
                    out.push_str(default.unwrap_or_default());
                    // A variable with a default was judged by it, and may still be another thing.
                    self.unread.push(match default {
                        Some(value) => {
                            format!("`{text}` was taken as `{value}`, unless {name} is set")
                        }
                        None => format!("`{text}` depends on {name}"),
                    });
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn mount(&mut self, volume: &Value) -> Option<Mount> {
        let (source, target, writable) = match volume {
            Value::String(text) => {
                let text = self.filled(text);
                let mut parts = text.split(':');
                let (source, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
                let mode = parts.next().unwrap_or_default();
                (source, target, !mode.split(',').any(|word| word == "ro"))
            }
            other => (
                self.text(other, "source"),
                self.text(other, "target"),
                !self.flag(other, "read_only"),
            ),
        };
        let path = if let Some(rest) = source.strip_prefix("~/") {
            self.home.join(rest)
        } else if source == "~" {
            self.home.to_owned()
        } else if source.starts_with('.') {
            clean(&self.folder.join(&source))
        } else if source.starts_with('/') {
            PathBuf::from(&source)
        } else {
            // A volume of the engine's, or of a folder that it is bound to.
            let options = self.volumes?.get(&source)?.get("driver_opts")?.clone();
            let device = self.text(&options, "device");
            if !device.starts_with('/') {
                return None;
            }
            PathBuf::from(device)
        };
        Some(Mount { source: path.display().to_string(), target, writable })
    }

    /// `8080:80`, `80`, `8000-8010:8000-8010`, `127.0.0.1:8080:80/tcp`, `[::1]:1:2`, or the long form.
    fn published(&mut self, port: &Value) -> Option<Vec<Published>> {
        let text = match port {
            Value::String(text) => self.filled(text),
            Value::Number(number) => number.to_string(),
            Value::Object(long) => return self.long(long),
            _ => return None,
        };
        let text = text.split('/').next()?;
        // A port alone gets one of the host's, on every address.
        let (rest, inside) = text.rsplit_once(':').unwrap_or(("", text));
        let (address, outside) = rest.rsplit_once(':').unwrap_or(("", rest));
        ranges(address, outside, inside)
    }

    fn long(&mut self, port: &Map<String, Value>) -> Option<Vec<Published>> {
        let port = Value::Object(port.clone());
        let (address, outside) = (self.text(&port, "host_ip"), self.text(&port, "published"));
        ranges(&address, &outside, &self.text(&port, "target"))
    }
}

fn ranges(address: &str, outside: &str, inside: &str) -> Option<Vec<Published>> {
    let range = |text: &str| -> Option<(u16, u16)> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last - first < MAX_RANGE).then_some((first, last))
    };
    let (from, to) = range(inside)?;
    let start = if outside.is_empty() { None } else { Some(range(outside)?.0) };
    Some(
        (from..=to)
            .map(|inside| Published {
                address: address.to_owned(),
                port: start.map_or(0, |start| start.saturating_add(inside - from)),
                inside,
            })
            .collect(),
    )
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// Without `.` and `..`, as Compose names it.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What is read of a file in the state folder.
    fn read(text: &str) -> Compose {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().canonicalize().unwrap();
        fs::write(state.join("compose.yml"), text).unwrap();
        let Fact::Known(found) = compose(&state, &state.join("home")) else { panic!() };
        found.into_iter().find(|file| file.path == state.join("compose.yml")).unwrap_or_default()
    }

    fn one(text: &str) -> Container {
        let file = read(&format!("services:\n  gw:\n    build: .\n{text}"));
        assert_eq!(file.unread, Vec::<String>::new());
        file.services.into_iter().next().unwrap()
    }

    #[test]
    fn compose_files_are_read() {
        let file = read(
            "services:\n  openclaw:\n    image: openclaw:1\n    read_only: true\n    user: 0\n    ports: ['18789:18789', '127.0.0.1:1:2']\n    volumes: ['~/.ssh:/ssh:ro', 'data:/d', './ws:/w']\n  db:\n    image: postgres\n",
        );
        assert_eq!(file.services.len(), 1);
        let service = &file.services[0];
        assert_eq!(
            (service.user.as_str(), service.read_only, service.mounts.len()),
            ("0", true, 2)
        );
        assert_eq!(service.ports.iter().map(Published::exposed).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn switches_are_composes_own() {
        for word in ["true", "True", "TRUE", "'true'", "yes", "on"] {
            assert!(one(&format!("    privileged: {word}\n")).privileged, "{word}");
        }
        assert!(!one("    privileged: False\n").privileged);
    }

    #[test]
    fn a_service_of_any_name_counts_where_it_may_be_the_gateway() {
        let with = one(
            "    volumes: ['/var/run/docker.sock:/s']\n    pid: host\n    ipc: host\n    userns_mode: host\n    devices: ['/dev/sda:/dev/x']\n",
        );
        assert_eq!(with.mounts[0].source, "/var/run/docker.sock");
        assert_eq!(with.shares, ["pid", "ipc", "userns"]);
        assert_eq!(with.devices, ["/dev/sda"]);
        let gateway = read("services:\n  x:\n    image: other\n    ports: ['18789:18789']\n");
        assert_eq!(gateway.services.len(), 1);
    }

    #[test]
    fn a_named_volume_may_be_a_folder_of_the_host() {
        let file = read(
            "services:\n  gw:\n    build: .\n    volumes: ['keys:/k']\nvolumes:\n  keys:\n    driver_opts: {type: none, o: bind, device: /root/.ssh}\n",
        );
        assert_eq!(file.services[0].mounts[0].source, "/root/.ssh");
    }

    #[test]
    fn every_form_of_a_port_is_published() {
        let with = one(
            "    ports: ['18789', '8000-8002:18789-18791', 9000, {target: 80, published: '8080', host_ip: 127.0.0.1}]\n",
        );
        let seen: Vec<_> =
            with.ports.iter().map(|port| (port.port, port.inside, port.exposed())).collect();
        assert_eq!(
            seen,
            [
                (0, 18789, true),
                (8000, 18789, true),
                (8001, 18790, true),
                (8002, 18791, true),
                (0, 9000, true),
                (8080, 80, false)
            ]
        );
    }

    #[test]
    fn what_is_not_followed_is_said() {
        for text in [
            "include: [other.yml]\nservices:\n  gw:\n    build: .\n",
            "services:\n  gw:\n    extends: {file: base.yml, service: a}\n",
            "services:\n  gw:\n    build: .\n    privileged: ${P}\n",
            "services:\n  gw:\n    build: .\n    ports: ['${P:-18789}:18789']\n",
            "services:\n  gw:\n    build: .\n    ports: ['a:b']\n",
            "x: &a {privileged: true}\nservices:\n  gw: *a\n",
        ] {
            assert_ne!(read(text).unread, Vec::<String>::new(), "{text}");
        }
        let with = read("services:\n  gw:\n    build: .\n    ports: ['${P:-18789}:18789']\n");
        assert!(with.services[0].ports[0].exposed());
        let home = read("services:\n  gw:\n    build: .\n    volumes: ['${HOME}/.ssh:/k']\n");
        assert!(home.services[0].mounts[0].source.ends_with("home/.ssh"));
        assert_eq!(home.unread, Vec::<String>::new());
    }
}
