//! No plan grants what was not granted, whatever the order and nesting of the grants.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use proptest::prelude::*;
use seawall_sandbox::plan::{
    GatewayPlan, Grant, Host, Kind, Only, RunPlan, gateway_plan_with, layout, run_plan_with,
};
use seawall_sandbox::spec::{Access, Mount, within};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "A", "skills"]), 1..5)
        .prop_map(|parts| format!("/{}", parts.join("/")))
}

fn grants() -> impl Strategy<Value = Vec<(String, bool)>> {
    prop::collection::vec((path(), any::<bool>()), 1..8)
}

/// What was asked for a path: the closest grant above it; the stricter of two for one place.
fn asked(grants: &[(String, bool)], path: &str) -> Option<Access> {
    let longest = grants.iter().filter(|(g, _)| within(path, g)).map(|(g, _)| g.len()).max()?;
    let strict = grants.iter().any(|(g, rw)| within(path, g) && g.len() == longest && !rw);
    Some(if strict { Access::Ro } else { Access::Rw })
}

/// What mounts give for a path: the last one that covers it, as the kernel resolves it.
fn given(mounts: &[Mount], path: &str) -> Option<(Access, String)> {
    let mut now: Option<(Access, String)> = None;
    for mount in mounts.iter().filter(|m| within(path, m.to())) {
        if let Mount::Bind { from, to, access, .. } = mount {
            now = Some((*access, format!("{from}{}", path.strip_prefix(to.as_str()).unwrap())));
        }
    }
    now
}

proptest! {
    #[test]
    fn a_layout_gives_what_was_granted(grants in grants(), probes in prop::collection::vec(path(), 1..20)) {
        let list: Vec<Grant> =
            grants.iter().map(|(p, rw)| if *rw { Grant::rw(p) } else { Grant::ro(p) }).collect();
        let mounts = layout(&list);
        for probe in probes.iter().chain(grants.iter().map(|(p, _)| p)) {
            let given = given(&mounts, probe);
            prop_assert_eq!(given.as_ref().map(|(a, _)| *a), asked(&grants, probe), "{}", probe);
            if let Some((_, source)) = given {
                prop_assert_eq!(&source, probe);
            }
        }
    }

    #[test]
    fn the_order_of_grants_does_not_matter(grants in grants(), seed in any::<u64>()) {
        let list: Vec<Grant> =
            grants.iter().map(|(p, rw)| if *rw { Grant::rw(p) } else { Grant::ro(p) }).collect();
        let mut other = list.clone();
        let by = usize::try_from(seed % 8).unwrap() % other.len();
        other.rotate_left(by);
        prop_assert_eq!(layout(&list), layout(&other));
    }

    #[test]
    fn every_folder_above_a_held_path_is_held(grants in grants()) {
        let list: Vec<Grant> =
            grants.iter().map(|(p, rw)| if *rw { Grant::rw(p) } else { Grant::ro(p) }).collect();
        let mut spec = run_plan_with(&RunPlan { argv: vec!["/bin/true".into()], ..RunPlan::default() }, &Everything).unwrap();
        spec.mounts = layout(&list);
        prop_assert!(spec.validate().is_ok(), "{:?}: {:?}", spec.validate(), spec.mounts);
    }

    #[test]
    fn odd_paths_are_refused_or_plain(text in "[/a-z.~ ]{0,24}") {
        let plan = RunPlan {
            argv: vec!["/bin/true".into()],
            workspace: Some((text.clone(), Access::Rw)),
            home: "/home/u".into(),
            ..RunPlan::default()
        };
        if let Ok(spec) = run_plan_with(&plan, &Everything) {
            for mount in &spec.mounts {
                if let Mount::Bind { from, .. } = mount {
                    prop_assert!(!from.split('/').any(|p| p == ".." || p == "."));
                    prop_assert!(within(from, text.trim_end_matches('/')));
                }
            }
        }
    }
}

/// Paths as somebody hostile would write them: with `..`, `.`, empty parts, other case, and
/// through the links of [`Mapped`].
fn hostile() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a", "b", "A", "ab", "link", "Link", "home", "u", "usr", "etc", "skills", "..", ".", "",
    ]);
    prop::collection::vec(part, 1..6).prop_map(|parts| format!("/{}", parts.join("/")))
}

/// Normal paths for what links stand for and lead to.
fn plain() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "A", "link", "home", "u", "usr", "etc", "x"]);
    prop::collection::vec(part, 1..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

/// A host with links in any part of a path.
struct Mapped(Vec<(String, String)>);

impl Host for Mapped {
    fn canonical(&self, path: &str) -> io::Result<String> {
        let mut now = path.to_owned();
        for _ in 0..16 {
            let Some((link, to)) = self.0.iter().find(|(link, _)| within(&now, link)) else {
                return Ok(now);
            };
            now = format!("{to}{}", now.strip_prefix(link.as_str()).unwrap());
        }
        Err(io::Error::other("too many links"))
    }
    fn kind(&self, path: &str) -> Option<Kind> {
        if self.0.iter().any(|(link, _)| link == path) {
            return Some(Kind::Link);
        }
        (!path.ends_with(".md") && !path.contains("/.git")).then_some(Kind::Folder)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// The whole planner: whatever order, nesting, dots, links and case, what is mounted of the
    /// host lies in what was granted, at the place that was granted, and is writable only where
    /// that was.
    #[test]
    fn no_plan_grants_more_than_its_verdict(
        workspace in prop::option::of((hostile(), any::<bool>())),
        grants in prop::collection::vec((hostile(), any::<bool>()), 0..5),
        links in prop::collection::vec((plain(), plain()), 0..4),
        roots in prop::collection::vec(plain(), 0..3),
        no_write in any::<bool>(),
        exact in any::<bool>(),
    ) {
        let access = |rw: bool| if rw { Access::Rw } else { Access::Ro };
        let plan = RunPlan {
            argv: vec!["/bin/true".into()],
            workspace: workspace.clone().map(|(path, rw)| (path, access(rw))),
            grants: grants.iter().map(|(path, rw)| (path.clone(), access(*rw))).collect(),
            roots,
            no_write,
            exact,
            home: "/home/u".into(),
            ..RunPlan::default()
        };
        let host = Mapped(links);
        let Ok(spec) = run_plan_with(&plan, &host) else { return Ok(()) };
        prop_assert!(spec.validate().is_ok());
        if exact {
            let named = workspace.iter().map(|(path, _)| path).chain(grants.iter().map(|(p, _)| p));
            for path in named.map(|path| path.trim_end_matches('/')) {
                prop_assert_eq!(host.canonical(path).unwrap(), path);
            }
        }
        // Place inside, place on the host, writable.
        let mut granted: Vec<(String, String, bool)> = Vec::new();
        if let Some((path, rw)) = &workspace {
            let path = path.trim_end_matches('/');
            granted.push(("/workspace".into(), host.canonical(path).unwrap(), *rw && !no_write));
        }
        for (path, rw) in &grants {
            let path = path.trim_end_matches('/');
            granted.push((path.to_owned(), host.canonical(path).unwrap(), *rw));
        }
        for mount in &spec.mounts {
            let Mount::Bind { from, to, access, .. } = mount else { continue };
            prop_assert!(!from.split('/').skip(1).any(|p| ["", ".", ".."].contains(&p)), "{}", from);
            let system = ["/etc", "/usr"].iter().any(|base| within(from, base));
            prop_assert!(!within("/home/u", from), "{}", from);
            prop_assert!(!system || *access == Access::Ro, "{}", from);
            let by = granted.iter().any(|(inside, outside, rw)| {
                let there = to.strip_prefix(inside.as_str());
                within(to, inside)
                    && there.is_some_and(|rest| *from == format!("{outside}{rest}"))
                    && (*rw || *access == Access::Ro)
            });
            prop_assert!(by, "{:?} of {:?}", mount, granted);
        }
    }
}

/// A host with a workspace `/w` that holds some entries.
struct Tree(BTreeMap<String, Kind>);

impl Tree {
    /// Of paths relative to the workspace; what lies above something is a folder.
    fn of(paths: &[(String, u8)]) -> Self {
        let mut all = BTreeMap::new();
        for (path, kind) in paths {
            let kind = match kind % 3 {
                0 => Kind::File,
                1 => Kind::Folder,
                _ => Kind::Link,
            };
            all.entry(format!("/w/{path}")).or_insert(kind);
        }
        for path in all.keys().cloned().collect::<Vec<_>>() {
            let mut above = Path::new(&path).parent();
            while let Some(folder) = above.filter(|folder| folder.starts_with("/w/")) {
                all.insert(folder.to_string_lossy().into_owned(), Kind::Folder);
                above = folder.parent();
            }
        }
        all.insert("/w".into(), Kind::Folder);
        Self(all)
    }
}

impl Host for Tree {
    fn canonical(&self, path: &str) -> io::Result<String> {
        Ok(path.into())
    }
    fn kind(&self, path: &str) -> Option<Kind> {
        self.0.get(path).copied()
    }
    fn list(&self, path: &str, most: usize) -> Option<Vec<String>> {
        let name = |entry: &String| {
            let rest = entry.strip_prefix(path)?.strip_prefix('/')?;
            (!rest.contains('/')).then(|| rest.to_owned())
        };
        let names: Vec<String> = self.0.keys().filter_map(name).collect();
        (names.len() <= most).then_some(names)
    }
}

fn relative() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "A", "aa", "skills", "SOUL.md", "MEMORY.md"]);
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Where the verdict names everything that is written, what exists is writable only if it was
    /// named, or is a folder in which something named is made; and what was named can be written.
    #[test]
    fn nothing_that_exists_is_writable_but_what_was_named(
        entries in prop::collection::vec((relative(), any::<u8>()), 0..12),
        changes in prop::collection::btree_set(relative(), 0..4),
        odd in prop::collection::btree_set(hostile(), 0..3),
        removed in any::<u8>(),
    ) {
        let tree = Tree::of(&entries);
        let removes = changes.iter().take(usize::from(removed % 4)).cloned().collect();
        let plan = RunPlan {
            argv: vec!["/bin/true".into()],
            workspace: Some(("/w".into(), Access::Rw)),
            only: Some(Only {
                changes: changes.iter().cloned().chain(odd).collect(),
                removes,
                ..Only::default()
            }),
            released: changes.clone(),
            hold_memory: true,
            exact: true,
            home: "/home/u".into(),
            ..RunPlan::default()
        };
        // A file of the agent's identity that is a link is a reason to start nothing.
        let Ok(spec) = run_plan_with(&plan, &tree) else { return Ok(()) };
        prop_assert!(spec.validate().is_ok());
        for (path, kind) in &tree.0 {
            let inside = path.replacen("/w", "/workspace", 1);
            let Some((access, _)) = given(&spec.mounts, &inside) else { continue };
            let name = path.strip_prefix("/w").unwrap().trim_start_matches('/');
            let named = changes.iter().any(|change| within(name, change));
            let above = changes.iter().any(|change| name.is_empty() || within(change, name));
            if access == Access::Rw {
                let made_in = above && *kind == Kind::Folder;
                // A link is a name; where it leads has mounts of its own.
                prop_assert!(named || made_in || *kind == Kind::Link, "{} in {:?}", name, spec.mounts);
            } else if named && *kind != Kind::Link {
                let top = name.split('/').next().unwrap_or_default();
                let held = top == "skills" || (top.ends_with(".md") && !changes.contains(top));
                prop_assert!(held, "{} in {:?}", name, spec.mounts);
            }
        }
    }
}

/// A host on which every path is a folder with that very name.
struct Everything;

impl Host for Everything {
    fn canonical(&self, path: &str) -> io::Result<String> {
        Ok(path.into())
    }
    fn kind(&self, path: &str) -> Option<Kind> {
        (!path.ends_with(".md") && !path.contains("/.git")).then_some(Kind::Folder)
    }
}

/// A host with some links.
struct Linked(BTreeMap<&'static str, &'static str>);

impl Host for Linked {
    fn canonical(&self, path: &str) -> io::Result<String> {
        Ok(self.0.get(path).map_or_else(|| path.to_owned(), |t| (*t).to_owned()))
    }
    fn kind(&self, path: &str) -> Option<Kind> {
        (!path.ends_with(".md") && !path.contains("/.git")).then_some(Kind::Folder)
    }
}

fn gateway() -> GatewayPlan {
    GatewayPlan {
        node: "/opt/node/bin/node".into(),
        entry: "/opt/oc/node_modules/openclaw/openclaw.mjs".into(),
        args: vec!["gateway".into(), "run".into()],
        programs: vec!["/opt/oc/node_modules".into(), "/opt/node".into()],
        state_dir: "/home/u/.openclaw".into(),
        config_dir: "/home/u/.seawall/config".into(),
        config_file: "/home/u/.seawall/config/openclaw.json".into(),
        workspaces: vec!["/home/u/.openclaw/workspace".into()],
        protect: vec!["/home/u/.openclaw/openclaw.json".into()],
        home: "/home/u".into(),
        run_dir: "/home/u/.seawall/run".into(),
        binary: "/opt/seawall/seawall".into(),
        egress_port: 3128,
        ..GatewayPlan::default()
    }
}

/// OpenClaw's own installer puts Node into the state folder.
#[test]
fn node_in_the_state_folder_is_held() {
    let node = "/home/u/.openclaw/tools/node/bin/node";
    let programs = vec!["/opt/oc/node_modules".into()];
    let plan = GatewayPlan { node: node.into(), programs, ..gateway() };
    let spec = gateway_plan_with(&plan, &Everything).unwrap();
    let held = spec
        .mounts
        .iter()
        .any(|mount| matches!(mount, Mount::Bind { to, access: Access::Ro, .. } if to == node));
    assert!(held, "{:?}", spec.mounts);
}

fn refusal(plan: &GatewayPlan, host: &dyn Host) -> String {
    gateway_plan_with(plan, host).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_gateway_sees_what_it_needs() {
    let spec = gateway_plan_with(&gateway(), &Everything).unwrap();
    let binds: Vec<String> = spec
        .mounts
        .iter()
        .filter_map(|m| match m {
            Mount::Bind { to, access, .. } => Some(format!("{access:?} {to}")),
            Mount::Pin { to } => Some(format!("Pin {to}")),
            _ => None,
        })
        .collect();
    insta::assert_snapshot!(binds.join("\n"), @r"
    Ro /opt/node
    Rw /home/u/.openclaw
    Ro /opt/oc/node_modules
    Ro /run/seawall/sockets
    Ro /home/u/.openclaw/openclaw.json
    Ro /home/u/.seawall/config
    Ro /run/seawall/bin/seawall
    Pin /home/u/.openclaw/workspace
    Ro /home/u/.openclaw/workspace/skills
    Pin /home/u/.openclaw/workspace/.agents
    Ro /home/u/.openclaw/workspace/.agents/skills
    ");
}

#[test]
fn places_that_give_too_much_are_refused() {
    for (workspace, word) in [
        ("/", "folder of the system"),
        ("/home/u", "home folder"),
        ("/home", "folder of the system"),
        ("/etc", "folder of the system"),
        ("/usr/share/x", "read-only"),
        ("/home/u/.ssh", "credentials"),
        ("/home/u/../x", "`..`"),
        ("work", "absolute"),
        ("/proc/1/root", "kernel"),
        ("/home/u/.seawall", "overlaps"),
    ] {
        let plan = GatewayPlan { workspaces: vec![workspace.into()], ..gateway() };
        let error = refusal(&plan, &Everything);
        assert!(error.contains(word), "{workspace}: {error}");
    }
}

#[test]
fn links_are_judged_by_where_they_lead() {
    let host = Linked([("/home/u/work", "/home/u/.ssh"), ("/home/u/w2", "/home/u")].into());
    for workspace in ["/home/u/work", "/home/u/w2"] {
        let plan = GatewayPlan { workspaces: vec![workspace.into()], ..gateway() };
        let error = refusal(&plan, &host);
        assert!(error.contains("home") || error.contains("credentials"), "{error}");
    }
}

#[test]
fn a_run_cannot_be_given_a_held_folder_by_a_path_inside_a_workspace() {
    let plan = |folder: &str| RunPlan {
        argv: vec!["/bin/true".into()],
        workspace: Some((folder.into(), Access::Rw)),
        roots: vec!["/data/ws".into()],
        home: "/home/u".into(),
        ..RunPlan::default()
    };
    for bad in ["/data/ws/skills", "/data/ws/skills/x", "/data/ws/.agents/skills"] {
        let error = run_plan_with(&plan(bad), &Everything).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("may not change"), "{bad}: {error}");
    }
    let spec = run_plan_with(&plan("/data"), &Everything).unwrap();
    assert_eq!(given(&spec.mounts, "/workspace/ws/skills/x").unwrap().0, Access::Ro);
    let spec = run_plan_with(&plan("/data/ws/.agents"), &Everything).unwrap();
    assert_eq!(given(&spec.mounts, "/workspace/skills/x").unwrap().0, Access::Ro);
}

#[test]
fn what_no_run_may_see_is_in_no_grant() {
    let never = vec!["/home/u/proj/.openclaw".to_owned(), "/home/u/proj/oc.json".to_owned()];
    let with = |plan: RunPlan| {
        let plan = RunPlan {
            argv: vec!["/bin/true".into()],
            home: "/home/u".into(),
            never: never.clone(),
            ..plan
        };
        run_plan_with(&plan, &Plain).map_err(|e| e.to_string())
    };
    let workspace = |path: &str, access| {
        with(RunPlan { workspace: Some((path.to_owned(), access)), ..RunPlan::default() })
    };
    for access in [Access::Ro, Access::Rw] {
        let why = workspace("/home/u/proj", access).unwrap_err();
        assert!(why.contains("holds `/home/u/proj/.openclaw`"), "{why}");
        assert!(workspace("/home/u/proj/.openclaw", access).is_err());
        assert!(workspace("/home/u/proj/.openclaw/workspace", access).is_ok());
        assert!(workspace("/home/u/projects", access).is_ok());
        let grants = vec![("/home/u/proj".to_owned(), access)];
        assert!(with(RunPlan { grants, ..RunPlan::default() }).is_err());
        // A folder with credentials in it, as one that lies in them.
        for private in ["/home/u/.config", "/home/u/.config/gcloud", "/home/u/.ssh/x"] {
            assert!(workspace(private, access).is_err(), "{private}");
        }
    }
    let read_only = vec![("/home/u/proj".to_owned(), "/workspace/x".to_owned())];
    assert!(with(RunPlan { read_only, ..RunPlan::default() }).is_err());
    let agent_workspace = Some("/home/u/proj".to_owned());
    assert!(with(RunPlan { agent_workspace, ..RunPlan::default() }).is_err());
}

/// A host with services that listen in folders of runs.
struct Listening(Vec<&'static str>);

impl Host for Listening {
    fn canonical(&self, path: &str) -> io::Result<String> {
        Ok(path.replacen("/link", "/w", 1))
    }
    fn kind(&self, path: &str) -> Option<Kind> {
        if path == "/link" {
            return Some(Kind::Link);
        }
        if path.ends_with(".sock") { Some(Kind::Other) } else { Everything.kind(path) }
    }
    fn sockets(&self) -> Vec<String> {
        self.0.iter().map(|path| (*path).to_owned()).collect()
    }
}

#[test]
fn sockets_of_the_host_are_covered() {
    let plan = RunPlan {
        argv: vec!["/bin/true".into()],
        workspace: Some(("/w".into(), Access::Ro)),
        grants: vec![("/data".into(), Access::Rw), ("/asked/x.sock".into(), Access::Rw)],
        home: "/home/u".into(),
        ..RunPlan::default()
    };
    let host = Listening(vec![
        "/w/a.sock",
        "/link/tmp/b.sock",
        "/data/c/d.sock",
        "/asked/x.sock",
        "/elsewhere/e.sock",
        "/w/no-socket-any-more",
    ]);
    let spec = run_plan_with(&plan, &host).unwrap();
    for covered in ["/workspace/a.sock", "/workspace/tmp/b.sock", "/data/c/d.sock"] {
        assert_eq!(given(&spec.mounts, covered).unwrap().1, "/dev/null", "{covered}");
    }
    assert_eq!(given(&spec.mounts, "/asked/x.sock").unwrap().1, "/asked/x.sock");
    assert_eq!(
        spec.mounts
            .iter()
            .filter(|m| matches!(m, Mount::Bind { from, .. } if from == "/dev/null"))
            .count(),
        3
    );
    let host = Listening(vec!["/w/a.sock"; 65]);
    let why = run_plan_with(&plan, &host).map(|_| ()).unwrap_err().to_string();
    assert!(why.contains("sockets"), "{why}");
}

/// A host on which every path is a folder.
struct Plain;

impl Host for Plain {
    fn canonical(&self, path: &str) -> io::Result<String> {
        Ok(path.to_owned())
    }

    fn kind(&self, _: &str) -> Option<Kind> {
        Some(Kind::Folder)
    }
}
