//! A run's grants from hostile bytes: never a panic, never a mount from a path that was not granted,
//! and never a plan that contradicts itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_sandbox::plan::{Host, Kind, Only, RunPlan, run_plan_with};
use seawall_sandbox::spec::{Access, Mount, within};

struct Everything;

impl Host for Everything {
    fn canonical(&self, path: &str) -> std::io::Result<String> {
        Ok(path.into())
    }
    fn kind(&self, path: &str) -> Option<Kind> {
        (!path.ends_with(".md") && !path.contains("/.git")).then_some(Kind::Folder)
    }
}

type Input = (String, Vec<(String, bool)>, Vec<(String, String)>, Option<[Vec<String>; 3]>);

fuzz_target!(|input: Input| {
    let (workspace, grants, read_only, only) = input;
    let only = only.map(|lists| {
        let [changes, beyond, removes] = lists.map(|list| list.into_iter().collect());
        Only { changes, beyond, removes }
    });
    let access = |rw: bool| if rw { Access::Rw } else { Access::Ro };
    let plan = RunPlan {
        argv: vec!["/bin/true".into()],
        workspace: Some((workspace.clone(), Access::Rw)),
        grants: grants.iter().map(|(p, rw)| (p.clone(), access(*rw))).collect(),
        read_only: read_only.clone(),
        home: "/home/u".into(),
        only: only.clone(),
        ..RunPlan::default()
    };
    let Ok(spec) = run_plan_with(&plan, &Everything) else { return };
    for mount in &spec.mounts {
        let Mount::Bind { from, .. } = mount else { continue };
        let granted = grants.iter().map(|(p, _)| p).chain(read_only.iter().map(|(p, _)| p));
        assert!(granted.chain([&workspace]).any(|g| within(from, g.trim_end_matches('/'))));
        assert!(!within("/home/u", from));
    }
    let Some(only) = only else { return };
    // What a narrowed plan lets be written was named, or is a folder in which a name is made.
    let named: Vec<String> = only
        .changes
        .iter()
        .map(|path| format!("/workspace/{path}"))
        .chain(only.beyond.iter().cloned())
        .collect();
    for mount in &spec.mounts {
        let Mount::Bind { to, access: Access::Rw, .. } = mount else { continue };
        assert!(named.iter().any(|path| within(to, path) || within(path, to)), "{to}");
    }
});
