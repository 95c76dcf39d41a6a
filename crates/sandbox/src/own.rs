//! What a Seawall process takes from itself before it reads anything that others wrote.

use crate::spec::Profile;
use crate::wire::{StageError, Step};
use crate::{seccomp, sys};
use landlock::{
    Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, Scope,
};
use std::path::Path;

/// Gives up every capability, all files but the given ones, the starting of programs, and signals
/// to others, for good. For a process with one thread: threads that it makes later inherit it.
///
/// `write` are folders of its own, `read` what it reads besides; a path of `read` that is not there
/// is passed over. Returns what this kernel has not.
///
/// # Errors
/// Names the step. The process must not go on.
pub fn restrict(write: &[&Path], read: &[&Path]) -> Result<Vec<String>, StageError> {
    let mut missing = Vec::new();
    rustix::thread::set_no_new_privs(true).step("give up new privileges")?;
    sys::drop_capabilities().step("drop capabilities")?;
    let (number, abi) = crate::stage::landlock_abi();
    if number == 0 {
        missing.push("Landlock: this kernel has none".to_owned());
    } else {
        let all = AccessFs::from_all(abi);
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(all)
            .step("prepare Landlock")?;
        if number >= 6 {
            ruleset = ruleset
                .scope(Scope::AbstractUnixSocket | Scope::Signal)
                .step("prepare Landlock")?;
        } else {
            missing.push(format!("signals to others: Landlock {number} cannot hold them"));
        }
        let mut ruleset = ruleset.create().step("prepare Landlock")?;
        // Nothing may be executed, whatever may be read.
        let look: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
        let own = all & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock);
        let rules = write
            .iter()
            .map(|path| (*path, own))
            .chain(read.iter().filter(|path| path.exists()).map(|path| (*path, look)));
        for (path, access) in rules {
            let name = path.to_string_lossy();
            let fd = PathFd::new(path).step_on("prepare Landlock", &name)?;
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
            ruleset = ruleset
                .add_rule(PathBeneath::new(fd, access))
                .step_on("prepare Landlock", &name)?;
        }
        ruleset.restrict_self().step("enter Landlock")?;
    }
    sys::install_filter(&seccomp::filter(Profile::Gateway))
        .step("install the system call filter")?;
    Ok(missing)
}
