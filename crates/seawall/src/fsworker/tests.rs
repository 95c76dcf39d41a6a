use super::ops::run;
use super::paths::{Mount, Mounts};
use super::*;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// A workspace with a read-only skill folder in it, and a folder beside it that nothing may reach.
struct World {
    _dir: tempfile::TempDir,
    ws: PathBuf,
    outside: PathBuf,
    mounts: Mounts,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    let (ws, outside) = (base.join("ws"), base.join("outside"));
    fs::create_dir_all(ws.join("ro")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    fs::write(ws.join("ro/SKILL.md"), "skill").unwrap();
    let list =
        vec![Mount::open(ws.clone(), true).unwrap(), Mount::open(ws.join("ro"), false).unwrap()];
    let mounts = Mounts::new(list, vec![ws.join("skills")]);
    World { _dir: dir, ws, outside, mounts }
}

impl World {
    fn at(&self, name: &str) -> PathBuf {
        self.ws.join(name)
    }

    fn write(&self, name: &str, data: &str) -> Result<(), OpError> {
        let request = Request::Write { path: self.at(name), mkdir: true, pinned: None };
        run(&self.mounts, request, data.into()).map(drop)
    }

    fn read(&self, name: &str) -> Result<String, OpError> {
        let request = Request::Read { path: self.at(name), max: None };
        run(&self.mounts, request, vec![]).map(|(_, data)| String::from_utf8(data).unwrap())
    }

    fn run(&self, request: Request) -> Result<Answer, OpError> {
        run(&self.mounts, request, vec![]).map(|(answer, _)| answer)
    }

    fn remove(&self, name: &str, recursive: bool) -> Result<Answer, OpError> {
        self.run(Request::Remove { path: self.at(name), recursive, force: false, pinned: None })
    }

    fn untouched(&self) {
        assert_eq!(fs::read_to_string(self.outside.join("secret")).unwrap(), "secret");
        assert_eq!(fs::read_dir(&self.outside).unwrap().count(), 1);
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, OpError>) -> &'static str {
    result.unwrap_err().code
}

#[test]
fn ordinary_work() {
    let w = world();
    w.write("a/b/c.txt", "one").unwrap();
    assert_eq!(w.read("a/b/c.txt").unwrap(), "one");
    w.write("a/b/c.txt", "two").unwrap();
    assert_eq!(w.read("a/b/c.txt").unwrap(), "two");
    let stat = w.run(Request::Stat { path: w.at("a/b/c.txt") }).unwrap();
    assert_eq!((stat.kind, stat.size), (Some("file"), Some(3)));
    assert_eq!(w.run(Request::Stat { path: w.ws.clone() }).unwrap().kind, Some("directory"));
    assert_eq!(w.run(Request::Stat { path: w.at("none/x") }).unwrap().kind, Some("missing"));
    let names = w.run(Request::List { path: w.at("a") }).unwrap().entries.unwrap();
    assert_eq!(names, [Entry { name: "b".into(), is_directory: true, is_file: false }]);
    w.run(Request::Rename { from: w.at("a/b/c.txt"), to: w.at("d/e.txt") }).unwrap();
    assert_eq!(w.read("d/e.txt").unwrap(), "two");
    let copy = Request::Copy { from: w.at("d/e.txt"), to: w.at("f"), mkdir: true, pinned: None };
    w.run(copy).unwrap();
    assert_eq!(w.read("f").unwrap(), "two");
    w.remove("a", true).unwrap();
    assert_eq!(code(w.remove("a", true)), "ENOENT");
    let force = Request::Remove { path: w.at("a"), recursive: true, force: true, pinned: None };
    w.run(force).unwrap();
}

#[test]
fn a_new_file_is_made_once() {
    let w = world();
    let make = || Request::Create { path: w.at("n"), mkdir: false, pinned: None };
    assert_eq!(w.run(make()).unwrap().created, Some(true));
    assert_eq!(w.run(make()).unwrap().created, Some(false));
    // No temporary file is left behind.
    assert_eq!(fs::read_dir(&w.ws).unwrap().count(), 2);
}

#[test]
fn a_write_keeps_the_mode() {
    let w = world();
    fs::write(w.at("run.sh"), "old").unwrap();
    fs::set_permissions(w.at("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    w.write("run.sh", "new").unwrap();
    assert_eq!(fs::metadata(w.at("run.sh")).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn what_other_runs_hold_stays_the_same_file() {
    let w = world();
    fs::create_dir(w.at(".git")).unwrap();
    for name in ["MEMORY.md", "SOUL.md", ".git/config"] {
        fs::write(w.at(name), "a longer text than the next").unwrap();
        let before = fs::metadata(w.at(name)).unwrap().ino();
        for text in ["short", "longer than the one before it", ""] {
            w.write(name, text).unwrap();
            assert_eq!(w.read(name).unwrap(), text);
        }
        fs::write(w.at("other"), "copied").unwrap();
        let copy =
            Request::Copy { from: w.at("other"), to: w.at(name), mkdir: false, pinned: None };
        w.run(copy).unwrap();
        assert_eq!(w.read(name).unwrap(), "copied");
        assert_eq!(fs::metadata(w.at(name)).unwrap().ino(), before, "{name}");
    }
    // A link of that name is replaced and not followed, as any other.
    fs::remove_file(w.at("SOUL.md")).unwrap();
    symlink(w.outside.join("secret"), w.at("SOUL.md")).unwrap();
    w.write("SOUL.md", "new").unwrap();
    assert!(fs::symlink_metadata(w.at("SOUL.md")).unwrap().is_file());
    w.untouched();
}

#[test]
fn links_to_the_outside_lead_nowhere() {
    let w = world();
    symlink(&w.outside, w.at("abs")).unwrap();
    symlink("../outside", w.at("rel")).unwrap();
    symlink(w.outside.join("secret"), w.at("file")).unwrap();
    symlink(w.outside.join("new"), w.at("dangling")).unwrap();
    for name in ["abs/secret", "rel/secret", "file"] {
        assert!(w.read(name).is_err(), "{name}");
        assert!(w.run(Request::Identity { path: w.at(name) }).is_err(), "{name}");
        assert!(w.run(Request::Stat { path: w.at(name) }).is_err(), "{name}");
    }
    for name in ["abs/x", "rel/x", "abs/sub/x"] {
        assert!(w.write(name, "x").is_err(), "{name}");
        assert!(w.run(Request::Mkdir { path: w.at(name), pinned: None }).is_err(), "{name}");
        assert!(w.remove(name, true).is_err(), "{name}");
        let out = Request::Rename { from: w.at("ro/SKILL.md"), to: w.at(name) };
        assert!(w.run(out).is_err(), "{name}");
    }
    assert!(w.run(Request::List { path: w.at("abs") }).is_err());
    assert!(w.run(Request::Mkdir { path: w.at("dangling/x"), pinned: None }).is_err());
    // The link itself is the workspace's: it may be replaced and removed.
    w.write("file", "mine").unwrap();
    w.write("dangling", "mine").unwrap();
    w.remove("abs", true).unwrap();
    w.untouched();
}

#[test]
fn a_link_within_the_workspace_is_followed_as_a_folder_only() {
    let w = world();
    w.write("real/f", "x").unwrap();
    symlink(w.at("real"), w.at("dir")).unwrap();
    symlink("real/f", w.at("alias")).unwrap();
    assert_eq!(w.read("dir/f").unwrap(), "x");
    assert_eq!(code(w.read("alias")), "ELOOP");
    assert_eq!(w.run(Request::Stat { path: w.at("alias") }).unwrap().kind, Some("file"));
}

#[test]
fn a_folder_that_becomes_a_link_after_the_check_is_not_followed() {
    let w = world();
    fs::create_dir(w.at("sub")).unwrap();
    let place = w.mounts.folder(&w.at("sub")).unwrap();
    fs::remove_dir(w.at("sub")).unwrap();
    symlink(&w.outside, w.at("sub")).unwrap();
    assert!(place.open(rustix::fs::OFlags::PATH).is_err());
    assert!(place.make().is_err());
    // The same for a place that was pinned before an approval.
    let pinned = Some(w.at("sub/x"));
    assert!(w.run(Request::Create { path: w.at("sub/x"), mkdir: true, pinned }).is_err());
    w.untouched();
}

#[test]
fn a_pin_names_the_same_entry_and_stays_in_the_mount() {
    let w = world();
    fs::create_dir(w.at("sub")).unwrap();
    let write = |pinned: PathBuf| {
        w.run(Request::Write { path: w.at("x"), mkdir: false, pinned: Some(pinned) })
    };
    write(w.at("sub/x")).unwrap();
    assert_eq!(code(write(w.at("sub/y"))), "REFUSED");
    assert_eq!(code(write(w.outside.join("x"))), "REFUSED");
    assert_eq!(code(write(w.at("sub/../../outside/x"))), "REFUSED");
    w.untouched();
}

#[test]
fn what_is_read_only_is_not_written() {
    let w = world();
    for name in ["ro/SKILL.md", "ro/new", "skills/x/SKILL.md", "skills"] {
        assert_eq!(code(w.write(name, "x")), "EROFS", "{name}");
        let mkdir = Request::Mkdir { path: w.at(name), pinned: None };
        assert_eq!(code(w.run(mkdir)), "EROFS", "{name}");
        assert_eq!(code(w.remove(name, false)), "EROFS", "{name}");
    }
    // Nor what lies above it, when it goes as a whole.
    fs::create_dir_all(w.at("deep/inner")).unwrap();
    let list = vec![
        Mount::open(w.ws.clone(), true).unwrap(),
        Mount::open(w.at("deep/inner"), false).unwrap(),
    ];
    let mounts = Mounts::new(list, vec![]);
    let remove =
        Request::Remove { path: w.at("deep"), recursive: true, force: false, pinned: None };
    assert_eq!(code(run(&mounts, remove, vec![])), "EROFS");
    let rename = Request::Rename { from: w.at("deep"), to: w.at("gone") };
    assert_eq!(code(run(&mounts, rename, vec![])), "EROFS");
    // Through a link into it neither.
    symlink("ro", w.at("way")).unwrap();
    assert_eq!(code(w.write("way/SKILL.md", "x")), "EROFS");
    assert_eq!(w.read("ro/SKILL.md").unwrap(), "skill");
}

#[test]
fn hard_links_and_special_files_are_refused() {
    let w = world();
    fs::hard_link(w.outside.join("secret"), w.at("hard")).unwrap();
    assert_eq!(code(w.read("hard")), "REFUSED");
    assert_eq!(code(w.write("hard", "x")), "EPERM");
    let fifo = w.at("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert_eq!(code(w.read("fifo")), "REFUSED");
    fs::create_dir(w.at("folder")).unwrap();
    assert_eq!(code(w.read("folder")), "EISDIR");
    w.untouched();
}

#[test]
fn a_read_has_a_limit() {
    let w = world();
    w.write("f", "12345").unwrap();
    let read = |max| run(&w.mounts, Request::Read { path: w.at("f"), max: Some(max) }, vec![]);
    assert_eq!(read(5).unwrap().1, b"12345");
    assert_eq!(code(read(4)), "EFBIG");
}

#[test]
fn the_roots_themselves_stay() {
    let w = world();
    let remove = Request::Remove { path: w.ws.clone(), recursive: true, force: true, pinned: None };
    assert_eq!(code(w.run(remove)), "REFUSED");
    assert_eq!(code(w.run(Request::Rename { from: w.ws.clone(), to: w.at("x") })), "REFUSED");
}

#[test]
fn a_tree_deeper_than_the_limit_is_an_error() {
    let w = world();
    let mut path = w.at("d");
    for _ in 0..200 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    assert_eq!(code(w.remove("d", true)), "ENAMETOOLONG");
}

fn message(head: &str, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 7];
    out.extend_from_slice(&(head.len() as u32).to_be_bytes());
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(data);
    out
}

#[test]
fn the_protocol_from_end_to_end() {
    let w = world();
    let root = w.ws.display();
    let mut input = message(
        &format!(
            r#"{{"op":"hello","version":1,"mounts":[{{"root":"{root}","writable":true}}],"protected":[]}}"#
        ),
        b"",
    );
    input.extend(message(&format!(r#"{{"op":"write","path":"{root}/f","mkdir":false}}"#), b"data"));
    input.extend(message(&format!(r#"{{"op":"read","path":"{root}/f"}}"#), b""));
    input.extend(message(&format!(r#"{{"op":"read","path":"{root}/none"}}"#), b""));
    let mut output = Vec::new();
    serve(&mut input.as_slice(), &mut output).unwrap();
    assert_eq!(output[..4], [0, 0, 0, 7], "the number is repeated");
    let text = String::from_utf8_lossy(&output);
    assert!(text.contains(&format!(r#"{{"ok":true,"answer":{{"path":"{root}/f""#)), "{text}");
    assert!(text.contains("}}data"), "{text}");
    assert!(text.contains(r#"{"ok":false,"error":{"code":"ENOENT""#), "{text}");
}

#[test]
fn nonsense_ends_the_worker() {
    let hello = message(r#"{"op":"hello","version":1,"mounts":[],"protected":[]}"#, b"");
    for bad in [
        message("{}", b""),
        message(r#"{"op":"hello","version":2,"mounts":[],"protected":[]}"#, b""),
        vec![0xff; 12],
        [&hello[..], &message(r#"{"op":"stat","path":"/","more":1}"#, b"")[..]].concat(),
        [&hello[..], &[0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0, b'{'][..]].concat(),
    ] {
        assert!(serve(&mut bad.as_slice(), &mut Vec::new()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is asked in whatever order, nothing outside of the mounts changes or is shown.
    #[test]
    fn nothing_outside_is_reached(
        steps in prop::collection::vec((0u8..8, "(s|l|ro|\\.\\.|outside|secret|x)(/(s|l|ro|\\.\\.|secret|x)){0,3}", "(s|l|x)(/(s|l|x)){0,2}"), 1..12),
    ) {
        let w = world();
        symlink(&w.outside, w.at("l")).unwrap();
        symlink("..", w.at("s")).unwrap();
        for (op, a, b) in steps {
            let (a, b) = (w.at(&a), w.at(&b));
            let request = match op {
                0 => Request::Write { path: a, mkdir: true, pinned: None },
                1 => Request::Create { path: a, mkdir: true, pinned: Some(b) },
                2 => Request::Mkdir { path: a, pinned: None },
                3 => Request::Remove { path: a, recursive: true, force: true, pinned: None },
                4 => Request::Rename { from: a, to: b },
                5 => Request::Copy { from: a, to: b, mkdir: true, pinned: None },
                6 => Request::Write { path: b, mkdir: true, pinned: Some(a) },
                _ => Request::Read { path: a, max: None },
            };
            if let Ok((_, data)) = run(&w.mounts, request, b"written".to_vec()) {
                prop_assert!(data != b"secret");
            }
            w.untouched();
            prop_assert_eq!(fs::read_to_string(w.at("ro/SKILL.md")).unwrap(), "skill");
            prop_assert!(Path::new(&w.ws).is_dir());
        }
    }
}
