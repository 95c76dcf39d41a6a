//! What a mode, an owner and an access control list let others do: for the checks of files.

use crate::facts::{FileEntry, Place};
use crate::finding::Fix;
use crate::registry::Out;
use seawall_model::finding::Level;

/// Reports what others may do with a private file or folder.
pub(super) fn judge(file: &FileEntry, place: &Place, out: &mut Out<'_>) {
    let location = file.path.display().to_string();
    let want = if file.dir { 0o700 } else { 0o600 };
    let fix = || Fix::safe("let only the owner in").mode(&file.path, want);
    let mode = file.mode & 0o7777;
    // A change of mode would follow a symlink: then only its target can be repaired.
    let fixed = |fix: Fix| match &file.link {
        Some(target) => {
            Fix::safe("let only the owner in").run(format!("chmod {want:o} {}", target.display()))
        }
        None => fix,
    };
    if mode & 0o022 != 0 {
        // A folder with the sticky bit lets others add files, not change them.
        out.hit(location, format!("mode {mode:o}: others may write"))
            .severity(Level::Critical)
            .fix(fixed(fix()));
    } else if mode & 0o055 != 0 {
        out.hit(location, format!("mode {mode:o}: others may read")).fix(fixed(fix()));
    } else if file.acl {
        out.hit(location, "an access control list lets others in").fix(
            Fix::risky("remove the list", "users and programs that it names")
                .run(format!("setfacl -b {}", file.path.display())),
        );
    } else if place.uid != 0 && file.uid != place.uid && file.uid != 0 {
        out.hit(location, format!("belongs to user {}", file.uid))
            .fix(Fix::risky("give it to the user who runs the gateway", "the other user"));
    }
}
