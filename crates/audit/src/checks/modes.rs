//! What a mode, an owner and an access control list let others do: for the checks of files.

use crate::facts::{Cut, FileEntry, FileKind, Files, Place, Unknown};
use crate::finding::Fix;
use crate::registry::Out;
use seawall_model::finding::Level;

/// Says what was left out of the places that a check is about: it can't be known to be fine.
pub(super) fn whole(files: &Files, kinds: &[FileKind], out: &mut Out<'_>) {
    left_out(files.cuts.iter().filter(|cut| kinds.contains(&cut.kind)), out);
}

/// Says what was left out.
pub(super) fn left_out<'f>(cuts: impl Iterator<Item = &'f Cut>, out: &mut Out<'_>) {
    let all: Vec<&Cut> = cuts.collect();
    if all.is_empty() {
        return;
    }
    let mut reason: Vec<String> =
        all.iter().take(3).map(|cut| format!("{} {}", cut.path.display(), cut.why)).collect();
    if all.len() > 3 {
        reason.push(format!("and {} more", all.len() - 3));
    }
    out.blind(&Unknown {
        reason: reason.join("; "),
        command: "seawall audit explain files.truncated".into(),
    });
}

/// Reports what others may do with a private file or folder, and one that is not the deployment's.
pub(super) fn judge(file: &FileEntry, place: &Place, out: &mut Out<'_>) {
    let location = file.path.display().to_string();
    let want = if file.dir { 0o700 } else { 0o600 };
    let mode = file.mode & 0o7777;
    // A change of mode would follow a symlink: then only its target can be repaired, by hand.
    let fix = || match &file.link {
        Some(target) if target.starts_with(&place.state_dir) => {
            Fix::safe("let only the owner in").run_on(&format!("chmod {want:o}"), target.display())
        }
        Some(target) => Fix::risky(
            "let only the owner in; it is a link that leads out of the state folder",
            "whatever else uses what it leads to",
        )
        .run_on(&format!("chmod {want:o}"), target.display()),
        None => Fix::safe("let only the owner in").mode(&file.path, want),
    };
    if mode & 0o022 != 0 {
        // A folder with the sticky bit lets others add files, not change them.
        out.hit(location, format!("mode {mode:o}: others may write"))
            .severity(Level::Critical)
            .fix(fix());
    } else if mode & 0o055 != 0 {
        out.hit(location, format!("mode {mode:o}: others may read")).fix(fix());
    } else if file.acl {
        out.hit(location, "an access control list lets others in").fix(
            Fix::risky("remove the list", "users and programs that it names")
                .run_on("setfacl -b", file.path.display()),
        );
    } else if foreign(file, place) {
        // As bad as a mode that lets others write: its owner may do anything with it.
        out.hit(
            location,
            format!("belongs to user {}, the state folder to {}", file.uid, place.owner),
        )
        .severity(Level::Critical)
        .fix(
            Fix::risky("give it to the user who runs the gateway", "the other user")
                .run_on(&format!("chown {}", place.owner), file.path.display()),
        );
    }
}

/// Whether a file belongs to somebody who is neither the deployment's user nor root. Who looks at
/// an own deployment expects the folder itself to be their own, too.
fn foreign(file: &FileEntry, place: &Place) -> bool {
    let stranger = place.uid != 0 && file.uid != place.uid && file.kind == FileKind::StateDir;
    file.uid != 0 && (file.uid != place.owner || stranger)
}

#[cfg(test)]
mod tests {
    use crate::checks::given;
    use crate::facts::FileKind;
    use crate::finding::{Disposition, Step};
    use crate::registry::run as check;
    use seawall_model::finding::Level;
    use serde_json::json;

    #[test]
    fn roots_audit_sees_whose_files_they_are() {
        let mut facts = given::config(json!({}));
        facts.place.owner = 1000;
        for (uid, found) in [(1000, 0), (0, 0), (65534, 1)] {
            let mut file = given::file("/s/openclaw.json", FileKind::Config, 0o600, &[]);
            file.uid = uid;
            given::files(&mut facts, vec![file]);
            let all = check(crate::registry::check("files.config").unwrap(), &facts);
            assert_eq!(all.len(), found, "{uid}");
            assert!(all.iter().all(|finding| finding.severity == Level::Critical));
        }
    }

    #[test]
    fn a_links_target_is_a_word_and_never_a_safe_command_elsewhere() {
        let mut facts = given::config(json!({}));
        facts.place.state_dir = "/s".into();
        for (target, disposition, text) in [
            ("/s/y", Disposition::Safe, "chmod 600 /s/y"),
            ("/t/x;id>PWN;", Disposition::Unsafe, "chmod 600 '/t/x;id>PWN;'"),
        ] {
            let mut file = given::file("/s/openclaw.json.bak", FileKind::Backup, 0o644, &[]);
            file.link = Some(target.into());
            given::files(&mut facts, vec![file]);
            let all = check(crate::registry::check("files.backups").unwrap(), &facts);
            let fix = all[0].fix.clone().unwrap();
            assert_eq!(fix.disposition, disposition);
            assert_eq!(fix.steps, vec![Step::Command { command: text.into() }]);
        }
    }
}
