//! What one call was authorised for is what its run can do, and what it tries beyond is told.

use super::{World, pipe, plan, run};
use seawall_sandbox::plan::{Only, RunPlan, run_plan};
use seawall_sandbox::spec::Access;
use seawall_sandbox::{Exit, Jail, JailIo, Refusal};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

fn tree(world: &World, name: &str) -> PathBuf {
    let dir = world.folder(name);
    for (path, text) in [
        ("notes.md", "harbour\n"),
        ("other.md", "mine\n"),
        ("SOUL.md", "soul\n"),
        ("src/a.c", "int a;\n"),
        ("src/b.c", "int b;\n"),
        ("build/out/x.o", "o"),
    ] {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn only(changes: &[&str], removes: &[&str]) -> Option<Only> {
    let set = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect();
    Some(Only { changes: set(changes), removes: set(removes), ..Only::default() })
}

fn of(world: &World, dir: &Path, script: &str) -> RunPlan {
    RunPlan {
        workspace: Some((dir.to_str().unwrap().into(), Access::Rw)),
        report: true,
        ..plan(world, &["/bin/sh", "-c", script])
    }
}

/// A command with what its text names, as the engine would tell it: ordinary work goes on.
pub(super) fn ordinary(world: &World) {
    let cases: &[(&str, &[&str], &[&str], &str)] = &[
        ("echo x >> notes.md", &["notes.md"], &[], "grep -q x notes.md"),
        ("sed -i s/harbour/sea/ notes.md", &["notes.md"], &[], "grep -q sea notes.md"),
        ("echo y > new.md && cat new.md", &["new.md"], &[], "test -f new.md"),
        (
            "mkdir -p a/b/c && cp notes.md a/b/c/",
            &["a/b/c", "a/b/c/notes.md"],
            &[],
            "test -f a/b/c/notes.md",
        ),
        ("cp src/a.c src/c.c", &["src/c.c"], &[], "test -f src/c.c"),
        ("rm -rf build", &["build"], &["build"], "test ! -e build"),
        (
            "mv other.md src/",
            &["other.md", "src", "src/other.md"],
            &["other.md"],
            "test -f src/other.md",
        ),
        ("mv src lib", &["src", "lib", "lib/src"], &["src"], "test -f lib/a.c"),
        ("touch notes.md && chmod 600 notes.md", &["notes.md"], &[], "test -f notes.md"),
        ("sort -o src/a.c src/a.c src/b.c", &["src/a.c"], &[], "grep -q b src/a.c"),
        ("tar cf all.tar src && tar tf all.tar", &["all.tar"], &[], "test -s all.tar"),
        ("gzip notes.md", &["notes.md", "notes.md.gz"], &["notes.md"], "test -f notes.md.gz"),
        ("ln -s notes.md link && cat link", &["link", "link/notes.md"], &[], "test -L link"),
        ("tee src/log < notes.md", &["src/log"], &[], "test -s src/log"),
    ];
    for (n, (script, changes, removes, check)) in cases.iter().enumerate() {
        let dir = tree(world, &format!("ordinary-{n}"));
        let mut plan = of(world, &dir, &format!("set -e; {script}"));
        plan.only = only(changes, removes);
        let (exit, text) = run(&run_plan(&plan).unwrap());
        assert_eq!(exit, Exit::Code(0), "{script}: {text}");
        let mut done = std::process::Command::new("/bin/sh");
        let done = done.args(["-c", check]).current_dir(&dir).status().unwrap();
        assert!(done.success(), "{script}: {check}");
    }
}

/// Skills that OpenClaw mounts deep in the workspace are there, whatever of it is written.
pub(super) fn mounts_inside(world: &World) {
    for (n, changes) in [&[][..], &["notes.md"], &["src/a.c"], &["new/x"]].into_iter().enumerate() {
        let dir = tree(world, &format!("inside-{n}"));
        std::fs::create_dir_all(dir.join(".openclaw/sandbox-skills/skills")).unwrap();
        let skills = world.folder("skills-of-openclaw");
        std::fs::write(skills.join("SKILL.md"), "a skill\n").unwrap();
        let to = "/workspace/.openclaw/sandbox-skills/skills";
        let mut plan = of(world, &dir, &format!("cat {to}/SKILL.md; echo x > {to}/y"));
        plan.only = only(changes, &[]);
        plan.read_only = vec![(skills.to_str().unwrap().into(), to.into())];
        let (_, text) = run(&run_plan(&plan).unwrap());
        assert!(text.contains("a skill") && text.contains("Read-only"), "{text}");
    }
}

/// Runs to the end and returns what it was refused.
fn refused(plan: &RunPlan) -> (Vec<Refusal>, u64, String) {
    let (mut read, write) = pipe();
    let io = JailIo {
        stderr: Some(write.try_clone().unwrap()),
        stdout: Some(write),
        ..JailIo::default()
    };
    let mut jail = Jail::spawn(&run_plan(plan).unwrap(), io).unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    jail.wait();
    (jail.take_refusals(), jail.refused_more(), text)
}

/// What a command does beyond its text fails, and is told with the path or address.
pub(super) fn beyond(world: &World) {
    let dir = tree(world, "beyond");
    let script = "echo ok >> notes.md; echo bad >> other.md; rm src/a.c; mv src/b.c b.c; rm -r build; \
        mkdir src/new; ln notes.md src/link; ln -s x src/soft; mv notes.md other.md; \
        echo x > SOUL.md; rm SOUL.md; mv notes.md SOUL.md; cp notes.md src/../src/a.c; \
        echo x > /usr/bin/evil; mkdir /new; chmod 777 other.md; (cd src && echo x > c.c); \
        echo fine > /tmp/x; rm /tmp/x; echo y > /dev/null; cat other.md; \
        bash -c 'echo > /dev/tcp/192.0.2.7/443'; bash -c 'echo > /dev/tcp/127.0.0.1/9'; true";
    let before = |path: &str| std::fs::read_to_string(dir.join(path)).unwrap();
    let mut plan = of(world, &dir, script);
    // The same without the verdict's narrowness does all of it: the test can fail.
    let (_, _, text) = refused(&RunPlan { report: false, ..plan.clone() });
    assert!(!dir.join("build").exists() && dir.join("src/soft").is_symlink(), "{text}");
    std::fs::remove_dir_all(&dir).unwrap();
    tree(world, "beyond");

    plan.only = only(&["notes.md"], &[]);
    let (told, more, text) = refused(&plan);
    assert_eq!(before("notes.md"), "harbour\nok\n");
    for (path, text) in [
        ("other.md", "mine\n"),
        ("SOUL.md", "soul\n"),
        ("src/a.c", "int a;\n"),
        ("build/out/x.o", "o"),
    ] {
        assert_eq!(before(path), text, "{path}");
    }
    assert!(text.contains("mine"), "reading goes on: {text}");
    let told: Vec<String> = told.iter().map(|r| format!("{} {}", r.action, r.target)).collect();
    for wanted in [
        "write /workspace/other.md",
        "remove /workspace/src/a.c",
        "rename /workspace/src/b.c",
        "remove /workspace/build/out/x.o",
        "make /workspace/src/new",
        "make /workspace/src/link",
        "make /workspace/src/soft",
        "replace /workspace/other.md",
        "write /workspace/SOUL.md",
        "remove /workspace/SOUL.md",
        "replace /workspace/SOUL.md",
        "write /workspace/src/../src/a.c",
        "make /usr/bin/evil",
        "make /new",
        "change /workspace/other.md",
        "make /workspace/src/c.c",
        "connect 192.0.2.7:443",
    ] {
        assert!(told.iter().any(|t| t == wanted), "{wanted} is not told: {told:?}: {text}");
    }
    for quiet in ["notes.md", "/tmp/", "/dev/null", "127.0.0.1"] {
        let noise = told
            .iter()
            .any(|t| t.ends_with(quiet) || t.contains("/tmp/") || t.contains("127.0.0.1"));
        assert!(!noise, "{quiet}: {told:?}");
    }
    assert_eq!(more, 0);
}

/// A program can't fill the log: repeats are told once, and of many things the first.
pub(super) fn bounded(world: &World) {
    let dir = tree(world, "bounded");
    let script =
        "i=0; while [ $i -lt 100 ]; do echo > /usr/$i; echo > /usr/0; i=$((i+1)); done; true";
    let plan = of(world, &dir, &format!("{{ {script}; }} 2>/dev/null"));
    let (told, more, _) = refused(&plan);
    assert_eq!((told.len(), more), (32, 68), "{told:?}");
    // Of one whose launcher does not listen nothing is held up.
    let mut jail = Jail::spawn(&run_plan(&plan).unwrap(), JailIo::default()).unwrap();
    assert_eq!(jail.wait(), Exit::Code(0));
}

/// An editor outside that saves by renaming a new file takes no hold away for long.
pub(super) fn replaced(world: &World) {
    let dir = tree(world, "replaced");
    std::fs::create_dir_all(dir.join(".git/hooks")).unwrap();
    std::fs::write(dir.join(".git/config"), "[core]\n").unwrap();
    let script =
        "while read file; do (echo evil >> $file) 2>/dev/null && echo wrote || echo held; done";
    let plan = RunPlan { report: false, ..of(world, &dir, script) };
    let (mut read, write) = pipe();
    let (stdin, mut say) = rustix::pipe::pipe().map(|(r, w)| (r, std::fs::File::from(w))).unwrap();
    let io = JailIo { stdin: Some(stdin), stdout: Some(write), ..JailIo::default() };
    let mut jail = Jail::spawn(&run_plan(&plan).unwrap(), io).unwrap();
    let mut tries = |file: &str| {
        writeln!(say, "{file}").unwrap();
        let mut answer = [0; 16];
        let n = read.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..n]).trim().to_owned()
    };
    let renewed = |jail: &mut Jail| {
        for _ in 0..500 {
            assert_eq!(jail.try_wait(), None);
            let renewed = jail.take_renewed();
            if !renewed.is_empty() {
                return renewed;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        panic!("nothing was held again");
    };
    let save = |path: &str| {
        std::fs::write(dir.join("saved"), "soul2\n").unwrap();
        std::fs::rename(dir.join("saved"), dir.join(path)).unwrap();
    };
    for file in ["SOUL.md", ".git/config"] {
        let inside = format!("/workspace/{file}");
        assert_eq!(tries(file), "held");
        save(file);
        // Until somebody looks it is the run's: the test can fail.
        assert_eq!(tries(file), "wrote");
        save(file);
        assert!(renewed(&mut jail).contains(&inside));
        assert_eq!(tries(file), "held");
        assert_eq!(std::fs::read_to_string(dir.join(file)).unwrap(), "soul2\n");
        save(file);
        assert_eq!(renewed(&mut jail), [inside]);
        assert_eq!(tries(file), "held");
    }
    // A folder on the way, and what is held in it.
    std::fs::rename(dir.join(".agents"), dir.join("old")).unwrap();
    std::fs::create_dir_all(dir.join("new/skills")).unwrap();
    std::fs::rename(dir.join("new"), dir.join(".agents")).unwrap();
    assert!(renewed(&mut jail).iter().any(|path| path == "/workspace/.agents/skills"));
    assert_eq!(tries(".agents/skills/x"), "held");
    // Work in the folder goes on.
    assert_eq!(tries("notes.md"), "wrote");
    // What can't be held ends the run.
    std::os::unix::fs::symlink("notes.md", dir.join("link")).unwrap();
    std::fs::rename(dir.join("link"), dir.join("SOUL.md")).unwrap();
    let soon = std::time::Instant::now() + std::time::Duration::from_secs(10);
    assert_eq!(jail.wait_until(Some(soon)), Some(Exit::Signal(9)));
    assert!(jail.lost().unwrap().contains("SOUL.md"), "{:?}", jail.lost());
}

/// Programs that are signalled, that use threads and that end in the middle of a call go on.
pub(super) fn under_way(world: &World) {
    let dir = tree(world, "under-way");
    let script = "for n in 1 2 3 4; do (i=0; while [ $i -lt 200 ]; do echo $i > f.$n.$i && mv f.$n.$i g.$n.$i; \
        i=$((i+1)); done) & done; (i=0; while [ $i -lt 50 ]; do kill -WINCH 0; i=$((i+1)); done); \
        (while :; do echo x > z; done) & last=$!; sleep 0.1; kill -9 $last; wait; ls | grep -c ^g";
    let (exit, text) = run(&run_plan(&of(world, &dir, script)).unwrap());
    assert_eq!((exit, text.lines().last()), (Exit::Code(0), Some("800")), "{text}");
}

/// What Git on the host obeys is held in every layout, and so is a file with two names: not at all.
pub(super) fn repositories(world: &World) {
    let dir = tree(world, "layouts");
    std::fs::create_dir_all(dir.join(".git/hooks")).unwrap();
    std::fs::create_dir_all(dir.join(".husky")).unwrap();
    for (path, text) in [
        (".git/config", "[core]\n\thooksPath = .husky\n[include]\n\tpath = ../.gitconfig\n"),
        (".gitconfig", "[user]\n"),
        (".husky/pre-commit", "#!/bin/sh\n"),
    ] {
        std::fs::write(dir.join(path), text).unwrap();
    }
    let script = "for f in .gitconfig .husky/pre-commit .husky/new notes.md; do \
        (echo evil >> $f) 2>/dev/null && echo wrote $f; done; mv .husky h; mv .gitconfig g; true";
    let (_, text) = run(&run_plan(&of(world, &dir, script)).unwrap());
    assert!(text.contains("wrote notes.md") && text.matches("wrote").count() == 1, "{text}");
    assert!(dir.join(".husky").exists() && dir.join(".gitconfig").exists());

    let worktree = tree(world, "worktree");
    std::fs::write(worktree.join(".git"), "gitdir: /nowhere\n").unwrap();
    let script = "echo 'gitdir: .x' > .git; rm .git; mv notes.md .git; true";
    run(&run_plan(&of(world, &worktree, script)).unwrap());
    assert_eq!(std::fs::read_to_string(worktree.join(".git")).unwrap(), "gitdir: /nowhere\n");
    // The same in a folder beyond the workspace.
    let mut plan = of(world, &world.folder("elsewhere"), "");
    let path = worktree.to_str().unwrap().to_owned();
    plan.argv = ["/bin/sh", "-c", &format!("cd {path} && echo x > .git; echo y > made")]
        .map(str::to_owned)
        .into();
    plan.grants = vec![(path, Access::Rw)];
    run(&run_plan(&plan).unwrap());
    assert_eq!(std::fs::read_to_string(worktree.join(".git")).unwrap(), "gitdir: /nowhere\n");
    assert!(worktree.join("made").exists());

    std::fs::hard_link(dir.join("SOUL.md"), dir.join("copy")).unwrap();
    let error = run_plan(&of(world, &dir, "true")).unwrap_err().to_string();
    assert!(error.contains("SOUL.md") && error.contains("another name"), "{error}");
}
