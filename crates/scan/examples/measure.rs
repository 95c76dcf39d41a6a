//! Measures the scanner on a labelled corpus, per source, with Wilson intervals, split by "has
//! scripts".
//!
//! `cargo run -p seawall-scan --example measure -- skills-dev.jsonl.xz [--misses] [--source S] [--explain ID]`
//! The corpus is one JSON object per line: `{id, name, label, category, source, campaign, cluster,
//! files: {path: text}}`. It is measured with and never learnt from: no string of it is in a rule.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a test or an example stops at the first surprise"
)]

use seawall_scan::{Report, Tree, Verdict, scan};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

#[derive(Deserialize)]
struct Row {
    id: String,
    name: String,
    label: String,
    category: String,
    source: String,
    #[serde(default)]
    campaign: String,
    cluster: serde_json::Value,
    files: BTreeMap<String, String>,
}

#[derive(Default)]
struct Tally {
    n: u32,
    warn: u32,
    block: u32,
}

/// 95 % Wilson interval of a share, in percent.
fn wilson(hits: u32, n: u32) -> (f64, f64) {
    if n == 0 {
        return (0.0, 100.0);
    }
    let (z, n, p) = (1.96f64, f64::from(n), f64::from(hits) / f64::from(n));
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z * ((p * (1.0 - p) + z * z / (4.0 * n)) / n).sqrt() / (1.0 + z * z / n);
    (100.0 * (centre - half).max(0.0), 100.0 * (centre + half).min(1.0))
}

fn scripts(row: &Row) -> bool {
    const ENDINGS: &[&str] = &[
        "sh",
        "bash",
        "zsh",
        "py",
        "js",
        "mjs",
        "cjs",
        "ts",
        "tsx",
        "rb",
        "ps1",
        "go",
        "applescript",
        "bat",
        "cmd",
    ];
    row.files.keys().any(|p| p.rsplit_once('.').is_some_and(|(_, e)| ENDINGS.contains(&e)))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args
        .first()
        .ok_or("usage: measure CORPUS.jsonl.xz [--misses] [--source S] [--explain ID]")?;
    let option =
        |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)).cloned();
    let misses = args.iter().any(|a| a == "--misses");
    let only = option("--source");
    let explain = option("--explain");
    let file = std::fs::File::open(path)?;
    let reader = BufReader::new(xz2::read::XzDecoder::new(file));
    let mut groups: BTreeMap<(String, String, String), Tally> = BTreeMap::new();
    let mut campaigns: BTreeMap<(String, String), Tally> = BTreeMap::new();
    let mut clusters: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut spent = Duration::ZERO;
    let mut bytes = 0usize;
    let mut slowest = (Duration::ZERO, String::new(), 0usize);
    for line in reader.lines() {
        let row: Row = serde_json::from_str(&line?)?;
        if row.label == "ambiguous"
            || only.as_ref().is_some_and(|s| !row.source.contains(s.as_str()))
        {
            continue;
        }
        if explain.as_ref().is_some_and(|id| *id != row.id) {
            continue;
        }
        let mut tree = Tree::new(row.name.clone());
        let mut size = 0;
        for (path, text) in &row.files {
            size += text.len();
            tree.add(path.clone(), text.clone().into_bytes(), false);
        }
        let start = Instant::now();
        let report = scan(&tree);
        let took = start.elapsed();
        spent += took;
        bytes += size;
        if took > slowest.0 {
            slowest = (took, row.id.clone(), size);
        }
        let kind = if scripts(&row) { "scripts" } else { "text only" };
        let bad = row.label == "malicious";
        let hard = row.category.starts_with("hardneg");
        let class = if bad {
            "malicious"
        } else if hard {
            "benign, hard"
        } else {
            "benign"
        };
        for key in [
            (class.to_owned(), row.source.clone(), kind.to_owned()),
            (class.to_owned(), "= all".to_owned(), kind.to_owned()),
            (class.to_owned(), "= all".to_owned(), "both".to_owned()),
        ] {
            count(groups.entry(key).or_default(), &report);
        }
        let wild = bad && matches!(row.source.as_str(), "clawhub-wild" | "MalSkills-GT");
        if wild {
            count(
                groups.entry(("malicious".into(), "= wild".into(), "both".into())).or_default(),
                &report,
            );
        }
        if bad && !row.campaign.is_empty() {
            count(
                campaigns.entry((row.source.clone(), row.campaign.clone())).or_default(),
                &report,
            );
        }
        let entry = clusters.entry(format!("{class}\t{}", row.cluster)).or_default();
        entry.0 += 1;
        entry.1 += u32::from(report.verdict != Verdict::Allow);
        let missed =
            if bad { report.verdict == Verdict::Allow } else { report.verdict != Verdict::Allow };
        if (misses && missed) || explain.is_some() {
            show(&row, &report, explain.is_some());
        }
    }
    println!(
        "{:13} {:32} {:10} {:>4}  {:>22}  {:>22}",
        "class", "source", "scripts", "n", "block or warn", "block"
    );
    for ((class, source, kind), t) in &groups {
        let share = |hits: u32| {
            let (low, high) = wilson(hits, t.n);
            format!(
                "{hits:>3} {:>5.1} ({low:.0}-{high:.0})",
                100.0 * f64::from(hits) / f64::from(t.n.max(1))
            )
        };
        println!(
            "{class:13} {source:32} {kind:10} {:>4}  {:>22}  {:>22}",
            t.n,
            share(t.warn + t.block),
            share(t.block)
        );
    }
    println!("\nper campaign (no rule knows any of them: each row is a campaign left out)");
    for ((source, campaign), t) in &campaigns {
        println!(
            "  {source:20} {campaign:24} {:>3}/{:<3} blocked {}",
            t.warn + t.block,
            t.n,
            t.block
        );
    }
    for class in ["malicious", "benign", "benign, hard"] {
        let prefix = format!("{class}\t");
        let (n, sum) = clusters
            .iter()
            .filter(|(k, _)| k.starts_with(&prefix))
            .fold((0u32, 0.0), |(n, sum), (_, (all, hit))| {
                (n + 1, sum + f64::from(*hit) / f64::from(*all))
            });
        println!(
            "per cluster, {class}: {:.1} % of {n} clusters flagged (each cluster counts once)",
            100.0 * sum / f64::from(n.max(1))
        );
    }
    println!(
        "\n{:.1} MB in {:.2} s: {:.1} MB/s; slowest {} ({} bytes, {:?})",
        bytes as f64 / 1e6,
        spent.as_secs_f64(),
        bytes as f64 / 1e6 / spent.as_secs_f64(),
        slowest.1,
        slowest.2,
        slowest.0
    );
    Ok(())
}

fn count(t: &mut Tally, report: &Report) {
    t.n += 1;
    match report.verdict {
        Verdict::Allow => {}
        Verdict::Warn => t.warn += 1,
        Verdict::Block => t.block += 1,
    }
}

fn show(row: &Row, report: &Report, all: bool) {
    println!("{} {} [{} / {}] {:?}", row.id, row.name, row.source, row.category, report.verdict);
    let take = if all { 100 } else { 4 };
    for f in report
        .findings
        .iter()
        .filter(|f| all || f.severity >= seawall_model::finding::Level::Medium)
        .take(take)
    {
        println!("    {:?} {} {}:{} {}", f.severity, f.rule, f.file, f.line, f.message);
    }
}
