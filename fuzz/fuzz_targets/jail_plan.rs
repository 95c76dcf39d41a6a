//! A run's grants from hostile bytes: never a panic, never a mount from a path that was not granted,
//! and never a plan that contradicts itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_sandbox::plan::{Host, Kind, RunPlan, run_plan_with};
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

fuzz_target!(|input: (String, Vec<(String, bool)>, Vec<(String, String)>)| {
    let (workspace, grants, read_only) = input;
    let access = |rw: bool| if rw { Access::Rw } else { Access::Ro };
    let plan = RunPlan {
        argv: vec!["/bin/true".into()],
        workspace: Some((workspace.clone(), Access::Rw)),
        grants: grants.iter().map(|(p, rw)| (p.clone(), access(*rw))).collect(),
        read_only: read_only.clone(),
        home: "/home/u".into(),
        ..RunPlan::default()
    };
    let Ok(spec) = run_plan_with(&plan, &Everything) else { return };
    for mount in &spec.mounts {
        let Mount::Bind { from, .. } = mount else { continue };
        let granted = grants.iter().map(|(p, _)| p).chain(read_only.iter().map(|(p, _)| p));
        assert!(granted.chain([&workspace]).any(|g| within(from, g.trim_end_matches('/'))));
        assert!(!within("/home/u", from));
    }
});
