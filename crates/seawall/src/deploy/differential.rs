//! Configurations as OpenClaw's own loader reads them, includes and environment resolved: the same
//! value or the same refusal, on hundreds or thousands of generated ones, for both readers here (the one that the
//! audit and the supervisor use, and the one that edits).
//!
//! OpenClaw takes half a minute to load on a busy machine, so this is no part of the ordinary run:
//!
//! ```text
//! SEAWALL_OPENCLAW_DIR=DIR SEAWALL_CASES=4000 cargo test --workspace --bin seawall differential -- --ignored --nocapture
//! ```

use super::load;
use crate::harden::target::documents;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Names of files to texts.
type Case = BTreeMap<String, String>;

/// How many, unless `SEAWALL_CASES` says so.
const CASES: usize = 400;

/// Reads each folder below the one it is given; prints a line of JSON for each: its number, the value
/// and why there is none.
const PEER: &str = r#"
import fs from "node:fs"; import path from "node:path";
const [dist, root] = process.argv.slice(2);
const text = (name) => fs.readFileSync(path.join(dist, name), "utf8");
const file = fs.readdirSync(dist).find((n) => /^io-.*\.mjs$/.test(n) && text(n).includes("parseConfigJson5") && text(n).includes("createConfigIO"));
const io = await import(path.join(dist, file));
const logger = { warn() {}, error() {}, info() {} };
for (const name of fs.readdirSync(root)) {
  const configPath = path.join(root, name, "openclaw.json");
  if (!fs.existsSync(configPath)) continue;
  const env = { P: "from-env", HOME: root, OPENCLAW_STATE_DIR: path.join(root, "state") };
  const shot = await io.createConfigIO({ env, homedir: () => root, configPath, logger }).readConfigFileSnapshot();
  const value = shot.sourceConfigBeforeMigrations;
  console.log(JSON.stringify({ name, value: value ?? null, why: value === undefined ? shot.issues?.[0]?.message ?? "?" : null }));
}
process.exit(0);
"#;

fn leaf() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "1",
        "-0x1F",
        ".5",
        "'a'",
        "\"b\\u00e9\"",
        "true",
        "null",
        "'${P}'",
        "'x ${P} y'",
        "'$${P}'",
        "'${p}'",
        "'${NOT_SET}'",
        "'$P'",
        "[]",
        "{}",
        "[1, 'two', { three: 3 }]",
        "['${P}', { k: '${P}' }]",
        "'a\\\nb'",
        "+1e2",
        "'$$${P}'",
        "'${P'",
    ])
    .prop_map(str::to_owned)
}

fn include() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "'./a.json5'",
        "'a.json5'",
        "'./sub/b.json5'",
        "['./a.json5', './sub/b.json5']",
        "['./sub/b.json5', './a.json5']",
        "[]",
        "5",
        "'./none.json5'",
        "'./openclaw.json'",
        "'../other.json5'",
        "'./list.json5'",
        "'./broken.json5'",
        "['./a.json5', 7]",
        "''",
        "'./sub/../a.json5'",
        "{ a: 1 }",
    ])
    .prop_map(str::to_owned)
}

fn object(depth: u32) -> BoxedStrategy<String> {
    let name = prop::sample::select(vec![
        "gateway", "tools", "agents", "'allow'", "\"deny\"", "a", "b", "list", "model",
    ]);
    let value = if depth == 0 {
        leaf().boxed()
    } else {
        prop_oneof![2 => leaf(), 3 => object(depth - 1)].boxed()
    };
    let comment = prop::sample::select(vec!["", "// c\n", "/* } */", "\n"]);
    let pair = (comment, name, value).prop_map(|(c, n, v)| format!("{c}{n}: {v}"));
    let pairs = prop::collection::vec(pair, 0..4);
    (pairs, prop::option::weighted(0.3, include()), any::<bool>())
        .prop_map(|(mut pairs, include, first)| {
            if let Some(target) = include {
                let at = if first { 0 } else { pairs.len() };
                pairs.insert(at, format!("$include: {target}"));
            }
            format!("{{ {} }}", pairs.join(", "))
        })
        .boxed()
}

fn case() -> impl Strategy<Value = Case> {
    let arrays = prop::sample::select(vec!["[1, 2]", "[]", "'text'", "7", "null"]);
    (
        object(2),
        object(1),
        object(1),
        arrays,
        prop::sample::select(vec!["{ a: ", "{} {}", "nope", "{ a: 1 }"]),
    )
        .prop_map(|(main, a, b, list, broken)| {
            [
                ("openclaw.json", main),
                ("a.json5", a),
                ("sub/b.json5", b),
                ("list.json5", list.to_owned()),
                ("broken.json5", broken.to_owned()),
            ]
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text))
            .collect()
        })
}

/// What OpenClaw makes of references to the environment.
fn resolved(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(substituted(text)),
        Value::Array(items) => items.iter().map(resolved).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), resolved(v))).collect(),
        other => other.clone(),
    }
}

/// `${P}` is set, `$${P}` stands for `${P}`, a name that is not set stays.
fn substituted(text: &str) -> String {
    text.replace("$${P}", "\u{1}").replace("${P}", "from-env").replace('\u{1}', "${P}")
}

/// Numbers as JavaScript has them: `1` and `1.0` are one.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(k, v)| b.get(k).is_some_and(|other| same(v, other)))
        }
        _ => a == b,
    }
}

#[test]
#[ignore = "loads OpenClaw; the command is above"]
fn configurations_are_read_as_openclaw_reads_them() {
    let Some(install) = std::env::var_os("SEAWALL_OPENCLAW_DIR").map(PathBuf::from) else {
        return;
    };
    let cases: usize = std::env::var("SEAWALL_CASES").map_or(CASES, |text| text.parse().unwrap());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let strategy = case();
    for number in 0..cases {
        for (name, text) in strategy.new_tree(&mut runner).unwrap().current() {
            let path = root.join(format!("case-{number:05}")).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    fs::write(root.join("other.json5"), "{}").unwrap();
    fs::write(root.join("peer.mjs"), PEER).unwrap();
    let output = Command::new(install.join("node_modules/.bin/node"))
        .arg(root.join("peer.mjs"))
        .arg(install.join("node_modules/openclaw/dist"))
        .arg(&root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (mut values, mut refused, mut shy, mut wrong) = (0, 0, 0, Vec::new());
    for line in said.lines().filter(|line| line.starts_with('{')) {
        let theirs: Value = serde_json::from_str(line).unwrap();
        let name = theirs["name"].as_str().unwrap();
        let path = root.join(name).join("openclaw.json");
        let expected = theirs["why"].is_null().then(|| theirs["value"].clone());
        let text = || fs::read_to_string(&path).unwrap();
        match &expected {
            Some(_) => values += 1,
            None => refused += 1,
        }
        let mut compare = |who: &str, ours: Result<Value, String>| {
            let ours = ours.map(|value| resolved(&value));
            let fits = match (&expected, &ours) {
                (Some(expected), Ok(ours)) => same(expected, ours),
                // What is no object is read by OpenClaw and refused by its schema.
                (Some(expected), Err(why)) => {
                    !expected.is_object() || why.contains("not an object")
                }
                (None, ours) => ours.is_err(),
            };
            if !fits {
                wrong.push(format!("{name} {who}: {}\n  OpenClaw {line}\n  here {ours:?}", text()));
            }
        };
        compare("load", load(&path, &[]).map(|l| l.value).map_err(|e| e.to_string()));
        // What edits may refuse more: a key that stands twice is not for it to choose from.
        match documents(&path, &[]) {
            Ok(documents) => compare("documents", Ok(documents.value())),
            Err(_) => shy += usize::from(expected.is_some()),
        }
    }
    println!("{shy} that OpenClaw takes are not edited");
    assert!(shy < cases / 5, "{shy}");
    println!("{values} with a value, {refused} refused");
    assert_eq!(values + refused, cases, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(values > cases / 4 && refused > cases / 8, "{values} {refused}");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.iter().take(8).cloned().collect::<Vec<_>>().join("\n")
    );
}
