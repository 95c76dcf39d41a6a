//! One piece of work in a copy of this process, so that what goes wrong in it goes no further.
//!
//! A parser of hostile bytes that was taken over could answer for whatever is parsed after it.
//! Each input gets a copy of the warm process instead, which costs a page table and no start.

use crate::sys;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

/// Runs `work` in a copy of this process and gives back what it returned, at most `most` bytes.
///
/// The copy has the caller's memory as it was, one pipe and no other descriptor; it ends with the
/// caller, and the caller's memory is closed to it ([`harden`]). The caller has one thread, and
/// where the kernel can be asked that is checked: a copy of many threads would have the locks of
/// those that are not in it.
///
/// # Errors
/// When there are more threads, when no copy can be made, or when it ended before it answered.
pub fn apart(most: u64, work: impl FnOnce() -> Vec<u8>) -> io::Result<Vec<u8>> {
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let caller = rustix::process::getpid();
    let pid = sys::fork_one()?;
    if pid == 0 {
        // A panic must not run on into what the caller does next.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            alone(theirs, caller).and_then(|mut out| out.write_all(&work()))
        }));
        sys::exit_now(if matches!(done, Ok(Ok(()))) { 0 } else { 1 });
    }
    let pid = rustix::process::Pid::from_raw(pid).ok_or_else(|| io::Error::other("no pid"))?;
    drop(theirs);
    let mut answer = Vec::new();
    let read = File::from(ours).take(most.saturating_add(1)).read_to_end(&mut answer);
    let long = answer.len() as u64 > most;
    if read.is_err() || long {
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    let ended = loop {
        match rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    read?;
    match ended {
        _ if long => Err(io::Error::other(format!("it answered with more than {most} bytes"))),
        Some((_, status)) if status.exit_status() == Some(0) => Ok(answer),
        _ => Err(io::Error::other("it ended before it had answered")),
    }
}

/// Closes this process's memory to others of its user, and to its copies.
///
/// # Errors
/// When the kernel refuses.
pub fn harden() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// The copy's side: it ends when the caller does, and has nothing open but its answer.
fn alone(out: OwnedFd, caller: rustix::process::Pid) -> io::Result<File> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have ended before that was said.
    if rustix::process::getppid() != Some(caller) {
        return Err(io::Error::other("the caller is gone"));
    }
    // On the standard streams as well, so that no file that is opened later becomes one.
    for stream in 0..3 {
        sys::dup_onto(out.as_fd(), stream)?;
    }
    drop(out);
    sys::close_from(3)?;
    Ok(File::from(sys::adopt(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests run on threads: a copy would not be sound.
    #[test]
    fn a_process_of_many_threads_is_not_copied() {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || receive.recv());
        assert!(apart(16, || b"x".to_vec()).is_err());
        drop(send);
        assert!(other.join().is_ok());
    }
}
