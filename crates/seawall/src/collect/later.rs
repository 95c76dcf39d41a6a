//! A look that may hang: on a file system that does not answer, a process that the kernel holds, a
//! program that never ends. The audit goes on without it, and says so.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// A look that is under way.
pub(super) struct Later<T> {
    what: &'static str,
    limit: Duration,
    end: Instant,
    result: Receiver<T>,
}

/// Starts a look on a thread of its own. One that is late is left behind: nothing can end a thread
/// that waits for the kernel, and it ends with the program.
pub(super) fn later<T: Send + 'static>(
    what: &'static str,
    limit: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Later<T> {
    let (sender, result) = sync_channel(1);
    // Without a thread the channel is closed, which is "could not check".
    let _ = thread::Builder::new().spawn(move || sender.send(look()));
    Later { what, limit, end: Instant::now() + limit, result }
}

impl<T> Later<T> {
    /// What was found, or what `unknown` makes of the reason why nothing was.
    pub(super) fn get(self, unknown: impl FnOnce(String) -> T) -> T {
        match self.result.recv_timeout(self.end.saturating_duration_since(Instant::now())) {
            Ok(found) => found,
            Err(RecvTimeoutError::Timeout) => {
                unknown(format!("{} took longer than {} s", self.what, self.limit.as_secs_f32()))
            }
            Err(RecvTimeoutError::Disconnected) => unknown(format!("{} ended early", self.what)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_hangs_or_panics_holds_nothing_up() {
        let limit = Duration::from_millis(50);
        let (_open, never) = sync_channel::<()>(1);
        let hung = later("a look", limit, move || {
            let _ = never.recv();
            String::new()
        });
        assert_eq!(hung.get(|why| why), "a look took longer than 0.05 s");
        let broken = later("a look", Duration::from_secs(20), || -> String { panic!("no") });
        assert_eq!(broken.get(|why| why), "a look ended early");
        let good = later("a look", Duration::from_secs(20), || "found".to_owned());
        assert_eq!(good.get(|why| why), "found");
    }
}
