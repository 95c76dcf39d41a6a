//! The packet filter's rules: nftables, and iptables where its rules are not plain nftables ones.

use super::command::{find, output};
use seawall_audit::facts::{Fact, Firewall};
use seawall_audit::packet::{Chain, parse_iptables, parse_nft};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3);

pub(super) fn firewall() -> Fact<Firewall> {
    let mut out = Firewall::default();
    let mut failures = Vec::new();
    let mut asked = false;
    if let Some(nft) = find("nft") {
        match output(&nft, &["-j", "list", "ruleset"], LIMIT).and_then(|text| {
            let json = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            parse_nft(&json)
        }) {
            Ok(chains) => {
                asked = true;
                out.chains = chains;
            }
            Err(why) => failures.push(why),
        }
    }
    for (program, family) in [("iptables-save", "ip"), ("ip6tables-save", "ip6")] {
        // What nftables shows none of, iptables has none of, unless it is the older one with tables
        // of its own in the kernel.
        if asked && !has_filter(&out.chains, family) && !older(family) {
            continue;
        }
        let Some(path) = find(program) else { continue };
        match output(&path, &["-t", "filter"], LIMIT) {
            Ok(text) => {
                asked = true;
                replace(&mut out.chains, parse_iptables(&text, family), family);
            }
            Err(why) => failures.push(why),
        }
    }
    if !asked {
        // Without either program there may still be rules, made by something else.
        let why = if failures.is_empty() {
            "neither `nft` nor `iptables-save` is installed".into()
        } else {
            failures.join("; ")
        };
        return Fact::unknown(why, "sudo seawall audit");
    }
    let has = |text: &str| {
        out.chains.iter().any(|chain| chain.name.contains(text) || chain.table.contains(text))
    };
    for (name, sign) in [("ufw", "ufw"), ("docker", "DOCKER"), ("firewalld", "firewalld")] {
        if has(sign) {
            out.managers.push(name.to_owned());
        }
    }
    if out.managers.is_empty() && !out.chains.is_empty() {
        out.managers.push("rules of your own".into());
    }
    Fact::Known(out)
}

fn has_filter(chains: &[Chain], family: &str) -> bool {
    let table = format!("{family} filter");
    chains.iter().any(|chain| chain.table == table)
}

/// Whether the kernel holds a filter table of the iptables that came before nftables. Who may not
/// know has to ask.
fn older(family: &str) -> bool {
    let path =
        if family == "ip" { "/proc/net/ip_tables_names" } else { "/proc/net/ip6_tables_names" };
    match std::fs::read_to_string(path) {
        Ok(text) => text.lines().any(|line| line.trim() == "filter"),
        Err(e) => e.kind() != std::io::ErrorKind::NotFound,
    }
}

/// iptables' own words for a table replace what nftables shows of it, which hides its extensions.
fn replace(chains: &mut Vec<Chain>, from: Vec<Chain>, family: &str) {
    if !from.is_empty() {
        let table = format!("{family} filter");
        chains.retain(|chain| chain.table != table);
        chains.extend(from);
    }
}
