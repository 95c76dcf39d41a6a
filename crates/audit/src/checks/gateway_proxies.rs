//! The gateway should know which proxy is in front of it, and only that.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::bind;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.proxies",
    title: "proxies in front of the gateway",
    severity: Level::Info,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &["T1090"],
    cis: &["CIS Controls v8 4.4"],
    why: "A proxy on this host that the gateway does not know makes every client look local, and local clients are trusted.",
    openclaw: &["gateway.trusted_proxies_missing"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let trusted = config.strings("gateway.trustedProxies");
    if trusted.is_empty() {
        if bind(config) == "loopback" && config.bool("gateway.controlUi.enabled") != Some(false) {
            let proxies = proxies(facts);
            if proxies.is_empty() {
                out.hit("gateway.trustedProxies", "empty; that is right as long as no reverse proxy leads to the gateway");
            } else {
                out.hit("gateway.trustedProxies", format!("empty, and a reverse proxy listens on this host: {}", proxies.join(", ")))
                    .severity(Level::Medium)
                    .fix(Fix::risky("list the proxy's address if it leads to the gateway", "clients behind it, which are then asked for a pairing").set("gateway.trustedProxies", serde_json::json!(["127.0.0.1"])));
            }
        }
        return;
    }
    for entry in trusted {
        let wide = entry.parse::<ipnet::IpNet>().is_ok_and(|net| {
            net.prefix_len() < if net.addr().is_ipv4() { 24 } else { 64 }
        });
        if wide {
            out.hit("gateway.trustedProxies", format!("`{entry}` trusts a whole network to set client addresses"))
                .severity(Level::High)
                .title("more than a proxy is trusted to say who a client is")
                .fix(Fix::risky("list single addresses", "proxies that are not listed"));
        }
    }
}

/// Well-known reverse proxies that listen on this host.
fn proxies(facts: &Facts) -> Vec<String> {
    let known = ["nginx", "caddy", "haproxy", "traefik", "envoy", "apache2", "httpd", "cloudflared", "ngrok"];
    let mut out: Vec<String> = facts
        .host
        .listeners
        .known()
        .into_iter()
        .flatten()
        .filter_map(|listener| listener.process.clone())
        .filter(|process| known.iter().any(|name| process.starts_with(name)))
        .collect();
    out.sort();
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn wide_networks_are_worse() {
        for bad in [json!({}), json!({"gateway":{"trustedProxies":["10.0.0.0/8"]}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"gateway":{"trustedProxies":["127.0.0.1","10.0.0.4/32"]}}), json!({"gateway":{"controlUi":{"enabled":false}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
