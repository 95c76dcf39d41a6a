//! A view of the file system for a process that is there already.

use super::ids::Ids;
use super::mounts;
use crate::spec::Mount;
use crate::sys;
use crate::wire::{StageError, Step};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Gives this process, which has one thread, a root of its own that holds the mounts and nothing
/// else. `None` when this host does not let it: then nothing has changed, and the reason is added
/// to what is missing.
///
/// # Errors
/// Names the step. The process is somewhere between the two and must not go on.
pub(crate) fn enter(mounts: &[Mount], missing: &mut Vec<String>) -> Result<Option<()>, StageError> {
    let ids = Ids::unchanged();
    if sys::unshare_mounts(false).is_err() {
        if let Err(e) = sys::unshare_mounts(true) {
            missing.push(format!("a view of the files of its own: {e}"));
            return Ok(None);
        }
        // Changed credentials have put the files in /proc out of this process's own reach.
        set_dumpable_behavior(DumpableBehavior::Dumpable).step("map the ids")?;
        ids.write_maps(rustix::process::getpid())?;
    }
    mounts::build(mounts, &ids, missing)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step("hide the memory")?;
    Ok(Some(()))
}
