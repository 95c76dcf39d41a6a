//! Processes of one user should not read each other's memory.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "host.kernel",
    title: "commands of the agent may read other processes",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &["T1003.007", "T1055.008"],
    cis: &["CIS Controls v8 4.1"],
    why: "A command attaches to the gateway, or to your SSH agent, and takes the keys from its memory.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(cpu) = out.need(&facts.host.cpu) else { return };
    if cpu.ptrace_scope == Some(0) {
        out.hit("kernel.yama.ptrace_scope", "0: a process may attach to any other of its user").fix(Fix::risky("allow parents only", "debuggers that attach to running programs").run("sysctl -w kernel.yama.ptrace_scope=1"));
    }
    if cpu.unprivileged_bpf_disabled == Some(0) {
        out.hit("kernel.unprivileged_bpf_disabled", "0: any user may load programs into the kernel").severity(Level::Medium).fix(Fix::risky("switch it off", "tools that load BPF without root").run("sysctl -w kernel.unprivileged_bpf_disabled=2"));
    }
    if !cpu.vulnerable.is_empty() {
        out.hit("/sys/devices/system/cpu/vulnerabilities", cpu.vulnerable.join(", ")).fix(Fix::safe("update the kernel and the microcode"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn each_switch() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.cpu = crate::Fact::Known(crate::facts::Cpu { ptrace_scope: Some(1), ..Default::default() });
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.host.cpu = crate::Fact::Known(crate::facts::Cpu { ptrace_scope: Some(0), unprivileged_bpf_disabled: Some(0), vulnerable: vec!["x".into()] });
        assert_eq!(check(&CHECK, &facts).len(), 3);
    }

}
