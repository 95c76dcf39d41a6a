//! The documents' parser against npm's `json5`, the parser inside OpenClaw: the same value or the
//! same refusal, and the same again after an edit.
//!
//! Needs `SEAWALL_OPENCLAW_DIR` (a folder with `node_modules`), skipped without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use seawall_audit::harden::doc::{Edit, edit, parse};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Reads documents as lines of JSON strings; answers each with its value, or `null` for a refusal.
const PEER: &str = r#"
const json5 = require("json5");
const lines = require("fs").readFileSync(0, "utf8").split("\n").filter(Boolean);
for (const line of lines) {
  let out;
  try { out = JSON.stringify({ value: json5.parse(JSON.parse(line)) }, (k, v) =>
    typeof v === "number" && !Number.isFinite(v) ? "unholdable" : v); }
  catch { out = "null"; }
  // Half a surrogate pair, which the other side cannot read.
  console.log(out.replace(/\\ud[89a-f]../gi, "?"));
}
"#;

/// Pieces of JSON5, right and wrong, in any order: most documents are refused, many are not.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "a",
        "b:",
        "'x'",
        "\"y\"",
        "1",
        "0",
        "-",
        "+",
        ".5",
        "5.",
        "0x1f",
        "1e3",
        "null",
        "true",
        "Infinity",
        "NaN",
        " ",
        "\n",
        "\r\n",
        "//c\n",
        "/*c*/",
        "\u{a0}",
        "\u{2028}",
        "\u{feff}",
        "ü",
        "\\u0061",
        "$",
        "_",
        "'\\x41'",
        "'\\\n'",
        "'\\0'",
        "'\\1'",
        "\"\\'\"",
        "'\\u{1}'",
        "'\\uD83D\\uDE00'",
        "'\\uD83D'",
        "01",
        "a-b",
        "\u{200c}",
        "\u{85}",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|parts| parts.concat())
}

/// Documents that are mostly right.
fn document() -> impl Strategy<Value = String> {
    let gap =
        prop::sample::select(vec!["", "", "", " ", "\n", "/*,*/", "//}\n", "\u{2003}", "\u{feff}"]);
    let leaf = prop::sample::select(vec![
        "null",
        "false",
        "+1",
        "-0x1F",
        ".5e-1",
        "5.",
        "'a\\\r\nb'",
        "\"\\v\\q\\/\"",
        "'\u{2028}'",
        "0",
        "1e2",
        "1E+2",
        "12345678901234567890",
        "'\\u00e9'",
        "Infinity",
        "'\t'",
        "08",
        "'a\nb'",
        "1.e1",
    ]);
    let name = prop::sample::select(vec![
        "a",
        "$b",
        "'c d'",
        "\"\"",
        "ünï",
        "\\u0061x",
        "_0",
        "null",
        "a\u{200d}",
        "9",
        "b-c",
        "ℹ",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 4, move |inner| {
        let member = (name.clone(), inner.clone(), gap.clone(), gap.clone(), gap.clone())
            .prop_map(|(n, v, a, b, c)| format!("{a}{n}{b}:{c}{v}"));
        let comma = prop::sample::select(vec!["", "", ",", ",,"]);
        prop_oneof![
            (prop::collection::vec(member, 0..4), comma.clone())
                .prop_map(|(parts, end)| format!("{{{}{end}}}", parts.join(","))),
            (prop::collection::vec(inner, 0..4), comma)
                .prop_map(|(parts, end)| format!("[{}{end}]", parts.join(","))),
        ]
    })
}

fn peer(documents: &[String]) -> Option<Vec<Value>> {
    let Some(dir) = std::env::var_os("SEAWALL_OPENCLAW_DIR") else {
        println!("skipped: SEAWALL_OPENCLAW_DIR is not set");
        return None;
    };
    let mut child = Command::new("node")
        .args(["-e", PEER])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let lines: String = documents.iter().map(|text| format!("{}\n", json!(text))).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Numbers as they are after JSON: `1` and `1.0` are one.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(n) => json!(n.as_f64().map(|n| n + 0.0)),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(map) => map.into_iter().map(|(k, v)| (k, plain(v))).collect(),
        other => other,
    }
}

fn compare(documents: &[String]) {
    let Some(theirs) = peer(documents) else { return };
    assert_eq!(documents.len(), theirs.len());
    let mut accepted = 0;
    for (text, theirs) in documents.iter().zip(theirs) {
        match parse(text) {
            Ok(node) => {
                accepted += 1;
                let ours = json!({ "value": plain(node.to_value()) });
                assert_eq!(ours, plain(theirs), "{text:?}");
            }
            // What Rust or JSON cannot hold is refused here alone.
            Err(error) => assert!(
                theirs.is_null()
                    || error.why.contains("JSON cannot hold")
                    || error.why.contains("surrogate"),
                "{text:?}: {error}, but json5 reads {theirs}"
            ),
        }
    }
    println!("{} documents, {accepted} of them accepted by both", documents.len());
    assert!(accepted * 40 > documents.len(), "too few good documents to mean anything");
}

fn generate<T>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn documents_mean_what_json5_says() {
    compare(&generate(document(), 6000));
    compare(&generate(soup(), 6000));
}

#[test]
fn an_edited_document_means_the_same_to_json5() {
    let edited: Vec<String> = generate(document(), 4000)
        .iter()
        .filter_map(|text| {
            let new = json!(["it's", { "x": 1 }]);
            let set = edit(text, &Edit::Set(vec!["a".into(), "new".into()], new)).ok()?;
            edit(&set, &Edit::Remove(vec!["$b".into()])).ok()
        })
        .collect();
    compare(&edited);
}
