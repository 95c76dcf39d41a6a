//! Records of what was installed from a registry.

use serde_json::Value;

/// What is wrong with a record: no exact version, no hash, or other bytes on disk than recorded.
/// The collector adds `installedVersion`, the version in the package's own file.
pub(crate) fn faults(record: &Value) -> Vec<String> {
    let text = |key: &str| {
        record.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    };
    let mut out = Vec::new();
    if text("source") != Some("npm") {
        return out;
    }
    if let Some(spec) = text("spec").filter(|spec| !exact(spec)) {
        out.push(format!("installed as `{spec}`, which names no exact version"));
    }
    if text("integrity").is_none() {
        out.push("no hash of what was installed".into());
    }
    let recorded = text("resolvedVersion").or_else(|| text("version"));
    if let (Some(recorded), Some(installed)) = (recorded, text("installedVersion"))
        && recorded != installed
    {
        out.push(format!("recorded as {recorded}, and {installed} is on disk"));
    }
    out
}

/// `name@1.2.3`, `@scope/name@1.2.3-rc.1`.
fn exact(spec: &str) -> bool {
    let Some(at) = spec.rfind('@').filter(|at| *at > 0) else { return false };
    let version = spec.get(at + 1..).unwrap_or_default().trim_start_matches('v');
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn exact_versions_with_a_hash_are_fine() {
        let good = json!({ "source": "npm", "spec": "@a/b@1.2.3", "integrity": "sha512-x", "version": "1.2.3", "installedVersion": "1.2.3" });
        assert_eq!(faults(&good), Vec::<String>::new());
        for spec in ["x", "@a/b", "x@latest", "x@^1.2.3", "x@1.2"] {
            assert!(!exact(spec), "{spec}");
        }
        assert_eq!(faults(&json!({ "source": "git", "spec": "x" })), Vec::<String>::new());
    }
}
