//! Command lines for the comparison with real shells.

use super::real_shell::Random;

const FILES: &[&str] = &[
    "a.txt",
    "b.txt",
    "d/e.txt",
    "./a.txt",
    "d/../b.txt",
    "/w/a.txt",
    "~/n.txt",
    "$HOME/n.txt",
    "\"$HOME\"/n.txt",
    "/secret/key",
    "../secret/key",
    "'c d.txt'",
    "c\\ d.txt",
    "\"c d.txt\"",
    "a'.t'xt",
    "a\".tx\"t",
    "$'a.txt'",
    "$'\\x61.txt'",
    "{a,b}.txt",
    "*.txt",
    "d/*",
    "?.txt",
    "[ab].txt",
    "d/g.md",
    "${HOME}/n.txt",
    "${nope:-a.txt}",
    "$(echo a.txt)",
    "`echo b.txt`",
    "\"$(echo a.txt)\"",
    "$PWD/a.txt",
    "a.{txt,md}",
    "$(printf %s d/e.txt)",
    "~+/a.txt",
    "${HOME%/u}/u/n.txt",
    "s.sh",
    "/w//d/./e.txt",
    "$((1))",
    "missing",
];
const NEW: &[&str] = &[
    "new.txt",
    "d/new",
    "/tmp/new",
    "~/new",
    "\"n w\"",
    "x{1,2}",
    "b.txt",
    "$HOME/new2",
    "d",
    "n$((1+1)).txt",
    "$(echo made).txt",
    "/tmp/$$.t",
    "a.txt",
    "./d/",
];
const FOLDERS: &[&str] =
    &["d", "/tmp", "/secret", "~", "/w/d", ".", "..", "$HOME", "nodir", "d/.."];

fn file(r: &mut Random) -> String {
    r.pick(FILES).to_owned()
}

/// A command without shell syntax around it.
fn simple(r: &mut Random) -> String {
    let (f, g, n, d) = (file(r), file(r), r.pick(NEW), r.pick(FOLDERS));
    match r.below(64) {
        0..=5 => format!("cat {f}"),
        6 => format!("cat {f} {g}"),
        7 => format!("head -n 1 {f}"),
        8 => format!("grep -c x {f}"),
        9 => format!("grep -r x {d}"),
        10 => format!("wc -l < {f}"),
        11 => format!("cp {f} {n}"),
        12 => format!("cp {f} {g} {d}"),
        13 => format!("mv {f} {n}"),
        14 => format!("rm -f {f}"),
        15 => format!("touch {n}"),
        16 => format!("mkdir -p {n}/sub"),
        17 => format!("echo hello > {n}"),
        18 => format!("printf 'x\\n' >> {n}"),
        19 => format!("sort {f} -o {n}"),
        20 => format!("tee {n} < {f}"),
        21 => format!("sed -n 1p {f}"),
        22 => format!("sed -i s/x/y/ {f}"),
        23 => format!("sed 's/x/y/w {n}' a.txt"),
        24 => format!("cut -c1 {f}"),
        25 => format!("ls -l {d}"),
        26 => format!("find {d} -name '*.txt'"),
        27 => format!("find {d} -name '*.txt' -exec cat {{}} \\;"),
        28 => format!("find {d} -maxdepth 1 -type f -exec head -n1 {{}} +"),
        29 => format!("xargs cat <<< {f}"),
        30 => format!("ln -s {f} lnk; cat lnk"),
        31 => format!("ln {f} hard; cat hard"),
        32 => format!("dd if={f} of={n} 2>/dev/null"),
        33 => format!("tar cf t.tar {f}; tar xf t.tar -C {d}"),
        34 => format!("gzip -k {f}"),
        35 => format!("base64 {f} | base64 -d > {n}"),
        36 => format!("diff {f} {g}"),
        37 => format!("test -f {f} && cat {f}"),
        38 => format!("env X=1 cat {f}"),
        39 => format!("timeout 5 cat {f}"),
        40 => format!("nice -n 1 cat {f}"),
        41 => format!("command cat {f}"),
        42 => format!("stat {f}"),
        43 => format!("awk '{{print $1}}' {f}"),
        44 => format!("tr a b < {f} > {n}"),
        45 => format!("tac {f}"),
        46 => format!("md5sum {f}"),
        47 => format!("install -m 644 {f} {n}"),
        48 => format!("split -l 1 {f} part"),
        49 => format!("comm {f} {g}"),
        50 => format!("paste {f} {g}"),
        51 => format!("truncate -s 0 {n}"),
        52 => format!("rmdir {d}"),
        53 => format!("unlink {f}"),
        54 => format!("find {d} -name '*.md' -delete"),
        55 => format!("cp -r {d} copy"),
        56 => format!("rm -rf {d}/e.txt"),
        57 => format!("stdbuf -o0 cat {f}"),
        58 => format!("setsid cat {f}"),
        59 => format!("uniq {f} {n}"),
        60 => format!("chmod 600 {f}"),
        61 => format!("nl {f}"),
        62 => format!("exec 3<{f}; cat <&3"),
        _ => format!("cat - < {f}"),
    }
}

/// Something in shell syntax.
fn compound(r: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return simple(r);
    }
    let a = compound(r, depth - 1);
    let (f, g, d) = (file(r), file(r), r.pick(FOLDERS));
    let plain = a.replace('\'', "'\\''");
    match r.below(44) {
        0..=7 => a,
        8 => format!("cd {d} && {a}"),
        9 => format!("cd {d}; {a}"),
        10 => format!("(cd {d}; {a}); cat a.txt"),
        11 => format!("{{ {a}; }} > out.log"),
        12 => format!("if [ -f {f} ]; then {a}; else cat {g}; fi"),
        13 => format!("for i in {f} {g}; do cat \"$i\"; done; {a}"),
        14 => format!("for i in 1 2; do {a}; done"),
        15 => format!("n=0; while [ $n -lt 2 ]; do n=$((n+1)); {a}; done"),
        16 => format!("case x in x|y) {a};; *) cat {f};; esac"),
        17 => format!("fn() {{ {a}; }}; fn"),
        18 => format!("fn() {{ cat \"$1\"; }}; fn {f}"),
        19 => format!("x={f}; cat $x; {a}"),
        20 => format!("x={f}; y=$x; cat \"$y\"; {a}"),
        21 => format!("set -- {f} {g}; cat \"$2\"; {a}"),
        22 => format!("sh -c '{plain}'"),
        23 => format!("bash -c '{plain}'"),
        24 => format!("eval '{plain}'"),
        25 => format!("cat <<EOF | sh\n{a}\nEOF"),
        26 => format!("cat > heredoc.txt <<'EOF'\n$(cat {f})\nEOF\n{a}"),
        27 => format!("cat > heredoc.txt <<EOF\n$(cat {f})\nEOF\n{a}"),
        28 => format!("{a} | cat > piped.txt"),
        29 => format!("false && {a}; true || cat {f}"),
        30 => format!("true && {a} || cat {f}"),
        31 => format!("{a} & wait"),
        32 => format!("arr=({f} {g}); cat \"${{arr[@]}}\"; {a}"),
        33 => format!("while read -r l; do cat \"$l\"; done <<< a.txt; {a}"),
        34 => format!("trap 'cat {f}' EXIT; {a}"),
        35 => format!("cat <(cat {f}); {a}"),
        36 => format!("diff <(sort {f}) <(sort {g}); {a}"),
        37 => format!("{a} &> both.log"),
        38 => format!("((1)) && {a}"),
        39 => format!("[[ -f {f} ]] && {a}"),
        40 => format!("x=$(cat {f}); {a}; echo \"$x\" > got.txt"),
        41 => format!("IFS=:; p=cat:{f}; $p; {a}"),
        42 => format!("x=a; [ -f b.txt ] && x=b; cat $x.txt; {a}"),
        _ => format!("! {a}; until cat {f}; do break; done"),
    }
}

/// One line.
pub(crate) fn line(r: &mut Random) -> String {
    let depth = r.below(4);
    compound(r, depth)
}
