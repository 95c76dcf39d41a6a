//! Points at which a test lets this process die. Compiled into debug builds only.

/// Dies here when it is this point's turn: `SEAWALL_DIE_AT=N` is the Nth point that is reached.
#[cfg(debug_assertions)]
pub(super) fn point(_what: &str) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static REACHED: AtomicUsize = AtomicUsize::new(0);
    let Some(turn) = std::env::var("SEAWALL_DIE_AT").ok().and_then(|n| n.parse::<usize>().ok())
    else {
        return;
    };
    if REACHED.fetch_add(1, Ordering::SeqCst) + 1 == turn {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing, outside of tests.
#[cfg(not(debug_assertions))]
pub(super) fn point(_what: &str) {}
