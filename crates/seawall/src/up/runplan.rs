//! From a granted run to its jail: a function of the order and the operator's configuration.
//!
//! Everything in the order comes from the gateway, which may be turned; what it may name is
//! bounded here by what the configuration gives it.

use super::Prepared;
use super::allowed::Allowed;
use super::apart::{held_in, settled};
use crate::daemon::protocol::{RunOrder, RunWhat};
use crate::render::McpServer;
use seawall_model::frame::{RunPurpose, RunRequest};
use seawall_sandbox::JailSpec;
use seawall_sandbox::plan::{Grant, Only, RunPlan, WORKSPACE, layout, run_plan};
use seawall_sandbox::spec::{Access, EnsureDir, Limits};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Port of a run's own egress listener.
const PROXY_PORT: u16 = 3128;

/// Processes and threads of one run, unless OpenClaw's `pidsLimit` says otherwise: room for a
/// parallel build, none for a fork bomb.
const PIDS: u64 = 1024;

/// Memory of one run, unless OpenClaw's `memory` says otherwise.
const MEMORY: u64 = 4 << 30;

/// Where the starter's program is in a run that is itself a worker of Seawall.
const WORKER: &str = "/run/seawall/bin/seawall";

/// Where a run finds what it trusts where TLS is opened.
const AUTHORITY: &str = "/run/seawall/ca.pem";
const TRUSTED: &str = "/run/seawall/ca-bundle.pem";

/// The variables by which programs find it. Node.js adds to its own roots; the others replace
/// theirs.
const TRUST: [(&str, &str); 5] = [
    ("NODE_EXTRA_CA_CERTS", AUTHORITY),
    ("SSL_CERT_FILE", TRUSTED),
    ("CURL_CA_BUNDLE", TRUSTED),
    ("REQUESTS_CA_BUNDLE", TRUSTED),
    ("GIT_SSL_CAINFO", TRUSTED),
];

/// What the configuration says about runs.
pub(super) struct RunContext {
    home: PathBuf,
    state_dir: PathBuf,
    /// Workspaces as the configuration names them, and as they are reached.
    named: Vec<PathBuf>,
    workspaces: Vec<PathBuf>,
    read_only: Vec<PathBuf>,
    program: PathBuf,
    allowed: Allowed,
    /// The files of [`AUTHORITY`] and [`TRUSTED`], which are there while TLS is opened.
    trust: [PathBuf; 2],
    /// The user's name and address for commits. Their `~/.gitconfig` itself is not in a run: it
    /// can name programs and credentials.
    author: Vec<(&'static str, String)>,
    /// What is seen of folders of skills.
    skills: Vec<crate::cmd::skill::view::View>,
}

impl RunContext {
    pub(super) fn of(prepared: &Prepared) -> Result<Self, String> {
        let mut read_only: Vec<PathBuf> = prepared.facts.read_only.iter().cloned().collect();
        read_only.push(prepared.runtime.tree.clone());
        // Where things are is settled before the gateway runs: it can put links in their place.
        Ok(Self {
            home: prepared.deployment.home.clone(),
            state_dir: settled(&prepared.deployment.state_dir),
            named: prepared.facts.workspaces.values().cloned().collect(),
            workspaces: prepared.facts.workspaces.values().map(|dir| settled(dir)).collect(),
            read_only: read_only.iter().map(|dir| settled(dir)).collect(),
            author: author(
                &std::fs::read_to_string(prepared.deployment.home.join(".gitconfig"))
                    .unwrap_or_default(),
            ),
            program: prepared.program.clone(),
            allowed: Allowed::of(prepared)?,
            trust: [prepared.home.authority(), prepared.home.trusted()],
            skills: super::skills::views(prepared, &prepared.facts),
        })
    }

    /// Puts the folders of an order in the form in which they are reached, or refuses them. From
    /// here on a symbolic link on the way is a refusal.
    pub(super) fn resolved(&self, order: &mut RunOrder) -> Result<(), String> {
        self.allowed.settle(order)?;
        let RunWhat::Tool(request) = &mut order.what else { return Ok(()) };
        let named = request.workspace_dir.clone();
        request.workspace_dir = self.session_folder(&named)?;
        request.agent_workspace_dir = self.session_folder(&request.agent_workspace_dir)?;
        // OpenClaw names skill folders that may not exist.
        request.read_only_mounts.retain(|(from, _)| Path::new(from).exists());
        for (from, _) in &mut request.read_only_mounts {
            *from = self.readable(from)?;
        }
        if let Some(granted) = &mut order.granted {
            let folder = Path::new(&request.workspace_dir);
            let copy = !self.workspaces.iter().any(|dir| folder == dir);
            // What a verdict releases is a file of its own workspace, or of the copy that the
            // session has of it.
            if !copy && self.settled_name(&granted.workspace).as_deref() != Some(folder) {
                granted.changes.clear();
                granted.removes.retain(|path| path.starts_with('/'));
            }
        }
        Ok(())
    }

    /// The agents' workspaces, as they are reached.
    pub(super) fn workspaces(&self) -> &[PathBuf] {
        &self.workspaces
    }

    fn gateway_writes(&self, path: &str) -> bool {
        let roots = self.workspaces.iter().chain(&self.named).chain([&self.state_dir]);
        roots.into_iter().any(|root| Path::new(path).starts_with(root))
    }

    /// How a configured workspace is reached.
    fn settled_name(&self, path: &str) -> Option<PathBuf> {
        let wanted = Path::new(path);
        let at = |list: &[PathBuf]| list.iter().position(|dir| dir == wanted);
        at(&self.named)
            .or_else(|| at(&self.workspaces))
            .and_then(|n| self.workspaces.get(n).cloned())
    }

    /// Whether the gateway may have this as the folder of a session: a configured workspace, or a
    /// copy that OpenClaw made for a sandbox.
    fn session_folder(&self, path: &str) -> Result<String, String> {
        let wanted = plain(path)?;
        // Not a folder below a workspace: its own read-only parts (skills) would be the root there.
        if let Some(settled) = self.settled_name(path) {
            return exact(&settled, path);
        }
        let copies = self.state_dir.join("sandboxes");
        let real = settled(wanted);
        if real.starts_with(&copies) && real != copies {
            exact(&real, path)
        } else {
            Err(format!(
                "`{path}` is not a workspace of this deployment; see `seawall config show`"
            ))
        }
    }

    /// Whether the gateway may mount this read-only into a run: skills, and what the operator gave.
    fn readable(&self, path: &str) -> Result<String, String> {
        let real = settled(plain(path)?);
        let skills = ["sandbox", "sandboxes", "skills"].map(|name| self.state_dir.join(name));
        let mut roots = self.workspaces.iter().chain(&self.read_only).chain(&skills);
        if roots.any(|root| real.starts_with(root)) {
            exact(&real, path)
        } else {
            Err(format!("`{path}` may not be mounted into a run"))
        }
    }
}

/// The path as text, if it leads nowhere else now.
fn exact(real: &Path, named: &str) -> Result<String, String> {
    if settled(real) != real {
        return Err(format!("`{named}` leads elsewhere through a symbolic link"));
    }
    real.to_str().map(str::to_owned).ok_or_else(|| format!("`{named}` is not UTF-8"))
}

/// An absolute path without `.` and `..`.
fn plain(path: &str) -> Result<&Path, String> {
    let path_ = Path::new(path);
    let normal = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if path_.is_absolute() && path_.components().all(normal) && !path.contains("/./") {
        Ok(path_)
    } else {
        Err(format!("`{path}` is not an absolute path without `..`"))
    }
}

/// Plans the jail of a run.
pub(super) fn plan(context: &RunContext, order: &RunOrder, slot: u32) -> Result<JailSpec, String> {
    let mut plan = match &order.what {
        RunWhat::Tool(request) => tool(context, request)?,
        RunWhat::Mcp { name, server } => mcp(context, name, server)?,
    };
    plan.slot = slot;
    // What the gateway can write it can replace by a link. Paths of the operator's own may well
    // lead through one.
    plan.exact = match &order.what {
        RunWhat::Tool(_) => true,
        RunWhat::Mcp { .. } => plan.grants.iter().any(|(path, _)| context.gateway_writes(path)),
    };
    let worker =
        matches!(&order.what, RunWhat::Tool(request) if request.purpose == RunPurpose::FileWorker);
    plan.hold_memory = !worker;
    plan.report = !worker;
    if let Some(granted) = &order.granted {
        plan.no_write = !granted.write && !worker;
        plan.released = granted.changes.clone();
        if granted.exact && !worker {
            plan.only = Some(Only {
                changes: granted.changes.clone(),
                beyond: granted.beyond.clone(),
                removes: granted.removes.clone(),
            });
        }
        let access = |write: &bool| if *write { Access::Rw } else { Access::Ro };
        plan.grants.extend(granted.folders.iter().map(|(f, write)| (f.clone(), access(write))));
    }
    plan.home = context.home.to_string_lossy().into_owned();
    plan.never = context
        .allowed
        .private
        .iter()
        .filter_map(|path| path.to_str())
        .map(str::to_owned)
        .collect();
    // What is held in a workspace is held by whatever folder of it the gateway names.
    plan.roots = context.workspaces.iter().map(|dir| dir.to_string_lossy().into_owned()).collect();
    if order.network {
        plan.egress = Some(PROXY_PORT);
        let url = format!("http://127.0.0.1:{PROXY_PORT}");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"] {
            plan.env.insert(name.into(), url.clone());
        }
    }
    let trust = order.network && context.trust.iter().all(|path| path.exists());
    if trust {
        plan.env.extend(TRUST.map(|(name, path)| (name.to_owned(), path.to_owned())));
    }
    let mut spec = run_plan(&plan).map_err(|e| e.to_string())?;
    if trust {
        for (path, to) in context.trust.iter().zip([AUTHORITY, TRUSTED]) {
            let from = path.to_string_lossy();
            spec.mounts.extend(layout(&[Grant { own: false, ..Grant::ro(&from).at(to) }]));
        }
    }
    super::skills::redirect(&mut spec.mounts, &context.skills);
    if worker {
        // Not as the jail's own file: it stays its owner's.
        let program = context.program.to_string_lossy();
        spec.mounts.extend(layout(&[Grant { own: false, ..Grant::ro(&program).at(WORKER) }]));
    }
    if let Some((base, Access::Rw)) = &plan.workspace {
        // OpenClaw mounts skills at places inside the workspace that need not exist yet.
        for (_, to) in &plan.read_only {
            if let Ok(path) = Path::new(to).strip_prefix(WORKSPACE) {
                spec.ensure.push(EnsureDir {
                    base: base.clone(),
                    path: path.to_string_lossy().into_owned(),
                });
            }
        }
    }
    Ok(spec)
}

fn tool(context: &RunContext, request: &RunRequest) -> Result<RunPlan, String> {
    let folder = request.workspace_dir.clone();
    let access = match (request.workspace_access.as_str(), request.purpose) {
        ("rw" | "none", _) => Access::Rw,
        ("ro", _) => Access::Ro,
        (other, _) => return Err(format!("workspaceAccess `{other}` is not none, ro or rw")),
    };
    let agent = (request.workspace_access != "none"
        && request.agent_workspace_dir != request.workspace_dir)
        .then(|| request.agent_workspace_dir.clone());
    let mut read_only = Vec::new();
    for (from, to) in &request.read_only_mounts {
        read_only.push((from.clone(), plain(to)?.to_string_lossy().into_owned()));
    }
    let argv = match request.purpose {
        RunPurpose::FileWorker => {
            vec![WORKER.into(), "fsworker".into()]
        }
        // What was decided is the text alone.
        RunPurpose::Exec if !request.args.is_empty() => {
            return Err("a command of the model has no arguments behind it".into());
        }
        RunPurpose::Files => return Err("file scripts do not run".into()),
        RunPurpose::Exec => {
            let mut argv =
                vec!["/bin/sh".into(), "-c".into(), request.command.clone(), "sh".into()];
            argv.extend(request.args.iter().cloned());
            argv
        }
    };
    let mut env = request.env.clone();
    // The gateway's PATH begins with a folder that runs can write to.
    env.remove("PATH");
    env.remove("HOME");
    for (name, value) in &context.author {
        env.entry((*name).to_owned()).or_insert_with(|| value.clone());
    }
    Ok(RunPlan {
        argv,
        env,
        workdir: request.workdir.clone(),
        workspace: Some((folder, access)),
        agent_workspace: agent,
        read_only,
        limits: context.allowed.bounded(limits(&request.settings), &limits(&Value::Null)),
        ..RunPlan::default()
    })
}

/// `user.name` and `user.email` of a Git configuration, as the variables that Git reads.
fn author(config: &str) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let mut in_user = false;
    for line in config.lines().take(2000) {
        let line = line.trim();
        if line.starts_with('[') {
            in_user = line.eq_ignore_ascii_case("[user]");
        }
        let Some((key, value)) = line.split_once('=').filter(|_| in_user) else { continue };
        let value: String =
            value.trim().trim_matches('"').chars().filter(|c| !c.is_control()).take(200).collect();
        let names = match key.trim() {
            "name" => ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"],
            "email" => ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"],
            _ => continue,
        };
        out.extend(names.map(|name| (name, value.clone())));
    }
    out
}

/// Memory and processes of a `sandbox.docker` table.
pub(super) fn sizes(settings: &Value) -> (Option<u64>, Option<u64>) {
    let memory = settings.get("memory").and_then(|value| match value {
        Value::Number(n) => n.as_u64(),
        Value::String(text) => bytes(text),
        _ => None,
    });
    (memory, settings.get("pidsLimit").and_then(Value::as_u64).filter(|n| *n > 0))
}

/// OpenClaw's `sandbox.docker` limits under their own names.
fn limits(settings: &Value) -> Limits {
    let (memory, pids) = sizes(settings);
    let cpus =
        settings.get("cpus").and_then(Value::as_f64).filter(|cpus| *cpus > 0.0 && *cpus < 4096.0);
    Limits {
        memory: Some(memory.unwrap_or(MEMORY)),
        pids: Some(pids.unwrap_or(PIDS)),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 4096 thousands"
        )]
        cpu_millis: cpus.map(|cpus| (cpus * 1000.0) as u64),
        ..Limits::default()
    }
}

/// `512m`, `1g`, `1073741824`: as Docker reads sizes.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (digits, shift) = match text.chars().last()? {
        'k' => (text.get(..text.len() - 1)?, 10),
        'm' => (text.get(..text.len() - 1)?, 20),
        'g' => (text.get(..text.len() - 1)?, 30),
        't' => (text.get(..text.len() - 1)?, 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_shl(shift).filter(|n| *n > 0)
}

/// A configured MCP server: its program and the files that its arguments name, nothing else.
fn mcp(context: &RunContext, name: &str, server: &McpServer) -> Result<RunPlan, String> {
    let mut argv = vec![server.command.clone()];
    argv.extend(server.args.iter().cloned());
    let expand = |text: &str| crate::deploy::expand(Path::new(text), &context.home);
    let mut grants = Vec::new();
    for part in &mut argv {
        let path = expand(part);
        if path.is_absolute()
            && path.exists()
            && !path.starts_with("/usr")
            && !path.starts_with("/bin")
        {
            let real = path.to_string_lossy().into_owned();
            part.clone_from(&real);
            let file = path.is_file();
            // A script brings the modules beside it; a folder that holds more than one thing's
            // files (the home, the state folder) is not given for one of them.
            let dir = path.parent().filter(|dir| {
                file && *dir != context.home
                    && held_in(dir, &context.allowed.private).is_none()
                    && !context.home.starts_with(dir)
            });
            let granted = dir.unwrap_or(&path).to_string_lossy().into_owned();
            if !grants.contains(&(granted.clone(), Access::Ro)) {
                grants.push((granted, Access::Ro));
            }
        }
    }
    let program = argv.first_mut().ok_or_else(|| format!("MCP server `{name}` has no command"))?;
    if !program.starts_with('/') {
        *program = ["/usr/local/bin", "/usr/bin", "/bin"]
            .iter()
            .map(|dir| format!("{dir}/{program}"))
            .find(|path| Path::new(path).is_file())
            .ok_or_else(|| format!("MCP server `{name}`: `{program}` is not in /usr/local/bin, /usr/bin or /bin; name it by its path"))?;
    }
    let env: BTreeMap<String, String> = server.env.clone();
    Ok(RunPlan { argv, env, grants, limits: limits(&Value::Null), ..RunPlan::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::protocol::Granted;

    fn context() -> RunContext {
        RunContext {
            home: "/home/a".into(),
            state_dir: "/home/a/.openclaw".into(),
            named: vec!["/home/a/ws".into()],
            workspaces: vec!["/home/a/ws".into()],
            read_only: vec!["/opt/plugins".into()],
            program: "/usr/bin/seawall".into(),
            trust: ["/nowhere".into(), "/nowhere".into()],
            allowed: Allowed::default(),
            author: vec![],
            skills: vec![],
        }
    }

    #[test]
    fn a_turned_gateway_cannot_name_other_folders() {
        let context = context();
        for good in ["/home/a/ws", "/home/a/.openclaw/sandboxes/x"] {
            assert!(context.session_folder(good).is_ok(), "{good}");
        }
        for bad in [
            "/home/a/ws/skills",
            "/",
            "/home/a",
            "/home/a/.ssh",
            "/home/a/.openclaw",
            "/home/a/.openclaw/sandboxes",
            "/home/a/ws/../.ssh",
            "ws",
            "/home/a/wsx",
        ] {
            assert!(context.session_folder(bad).is_err(), "{bad}");
        }
        assert!(context.readable("/home/a/.openclaw/agents").is_err());
        assert!(context.readable("/opt/plugins/x").is_ok());
    }

    fn order(workspace: &Path, mounts: &[(&Path, &str)], granted: Option<Granted>) -> RunOrder {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        RunOrder {
            run: "r".into(),
            session_key: "agent:main:main".into(),
            network: false,
            granted,
            what: RunWhat::Tool(RunRequest {
                purpose: RunPurpose::Exec,
                command: "true".into(),
                args: vec![],
                workdir: String::new(),
                env: BTreeMap::new(),
                workspace_dir: text(workspace),
                agent_workspace_dir: text(workspace),
                workspace_access: "rw".into(),
                read_only_mounts: mounts.iter().map(|(p, to)| (text(p), (*to).into())).collect(),
                settings: Value::Null,
            }),
        }
    }

    #[test]
    fn a_link_that_the_gateway_made_leads_nowhere() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let state = top.join("state");
        for name in ["state/sandboxes/own", "state/ws", "state/ws2", "secret"] {
            std::fs::create_dir_all(top.join(name)).unwrap();
        }
        symlink(top.join("secret"), state.join("sandboxes/link")).unwrap();
        symlink(top.join("secret"), state.join("ws/link")).unwrap();
        // The operator's own name for a workspace may lead through a link.
        symlink(state.join("ws2"), top.join("short")).unwrap();
        let context = RunContext {
            home: top.join("home"),
            state_dir: state.clone(),
            named: vec![state.join("ws"), top.join("short")],
            workspaces: vec![state.join("ws"), state.join("ws2")],
            ..context()
        };
        let try_ = |mut order: RunOrder| context.resolved(&mut order).map(|()| order);
        for good in [state.join("sandboxes/own"), state.join("ws"), top.join("short")] {
            assert!(try_(order(&good, &[], None)).is_ok(), "{}", good.display());
        }
        assert!(try_(order(&state.join("sandboxes/link"), &[], None)).is_err());
        let mount = [(&*state.join("ws/link"), "/workspace/x")];
        assert!(try_(order(&state.join("ws"), &mount, None)).is_err());
        // In the place of a workspace, after the start.
        std::fs::rename(state.join("ws"), state.join("moved")).unwrap();
        symlink(top.join("secret"), state.join("ws")).unwrap();
        assert!(try_(order(&state.join("ws"), &[], None)).is_err());
    }

    #[test]
    fn a_verdict_releases_files_of_its_own_workspace() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let (one, two) = (top.join("one"), top.join("two"));
        std::fs::create_dir(&one).unwrap();
        std::fs::create_dir(&two).unwrap();
        let context = RunContext {
            named: vec![one.clone(), two.clone()],
            workspaces: vec![one.clone(), two.clone()],
            ..context()
        };
        let granted = Granted {
            workspace: one.to_string_lossy().into_owned(),
            changes: ["SOUL.md".to_owned()].into(),
            write: true,
            ..Granted::default()
        };
        for (folder, released) in [(&one, 1), (&two, 0)] {
            let mut order = order(folder, &[], Some(granted.clone()));
            context.resolved(&mut order).unwrap();
            assert_eq!(order.granted.unwrap().changes.len(), released);
        }
    }

    #[test]
    fn an_mcp_server_gets_its_own_folder_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let tides = home.join(".openclaw/tides");
        std::fs::create_dir_all(&tides).unwrap();
        std::fs::write(tides.join("server.py"), "").unwrap();
        let context =
            RunContext { home: home.clone(), state_dir: home.join(".openclaw"), ..context() };
        let script = tides.join("server.py").to_string_lossy().into_owned();
        let server = McpServer {
            command: "/usr/bin/env".into(),
            args: vec![script.clone()],
            env: BTreeMap::new(),
            cwd: None,
        };
        let order = RunOrder {
            run: "r".into(),
            session_key: "mcp:tides".into(),
            what: RunWhat::Mcp { name: "tides".into(), server },
            network: false,
            granted: None,
        };
        let spec = plan(&context, &order, 0).unwrap();
        assert_eq!(spec.argv, ["/usr/bin/env".to_owned(), script]);
        let below_home: Vec<&str> = spec
            .mounts
            .iter()
            .map(|mount| mount.to())
            .filter(|to| Path::new(to).starts_with(&home))
            .collect();
        assert_eq!(below_home, [tides.to_string_lossy()]);
    }

    #[test]
    fn a_run_with_network_trusts_the_authority_while_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let workspace = top.join("ws");
        std::fs::create_dir(&workspace).unwrap();
        let trust = [top.join("ca.pem"), top.join("ca-bundle.pem")];
        let context = RunContext {
            named: vec![workspace.clone()],
            workspaces: vec![workspace.clone()],
            trust: trust.clone(),
            ..context()
        };
        let planned = |network| {
            let mut order = order(&workspace, &[], None);
            order.network = network;
            let spec = plan(&context, &order, 0).unwrap();
            let mounted = spec.mounts.iter().any(|mount| mount.to() == AUTHORITY);
            (spec.env.get("SSL_CERT_FILE").cloned(), mounted)
        };
        assert_eq!(planned(true), (None, false));
        for path in &trust {
            std::fs::write(path, "x").unwrap();
        }
        assert_eq!(planned(true), (Some(TRUSTED.to_owned()), true));
        assert_eq!(planned(false), (None, false));
    }

    #[test]
    fn commits_have_the_users_name_and_nothing_else_of_their_settings() {
        let config = "[core]\n name = x\n[user]\n\tname = \"Ada L\"\n\temail = a@b.test\n[credential]\n helper = store\n";
        let author = author(config);
        assert_eq!(author.len(), 4);
        assert!(author.contains(&("GIT_AUTHOR_NAME", "Ada L".into())));
        assert!(author.contains(&("GIT_COMMITTER_EMAIL", "a@b.test".into())));
    }

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, size) in [
            ("1g", Some(1 << 30)),
            ("512MB", Some(512 << 20)),
            ("7", Some(7)),
            ("x", None),
            ("", None),
            ("0", None),
        ] {
            assert_eq!(bytes(text), size, "{text}");
        }
    }

    #[test]
    fn limits_have_a_default_and_follow_the_configuration() {
        assert_eq!(limits(&Value::Null).pids, Some(PIDS));
        let set = limits(&serde_json::json!({ "memory": "1g", "cpus": 1.5, "pidsLimit": 10 }));
        assert_eq!((set.memory, set.cpu_millis, set.pids), (Some(1 << 30), Some(1500), Some(10)));
    }
}
