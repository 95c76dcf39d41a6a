//! Runs a program of the host for what it prints, bounded in time and size.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A rule set of a large host has a few megabytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Where the host's own programs are. `PATH` is not asked: the audit often runs as root, and a
/// program that somebody put first there would run with it.
const FOLDERS: &[&str] =
    &["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// A program of the host.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

/// What a program printed, or why not.
pub(super) fn output<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    limit: Duration,
) -> Result<String, String> {
    let name = program.display();
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("`{name}` cannot be started: {e}"))?;
    let deadline = Instant::now() + limit;
    let mut text = Vec::new();
    let read = child.stdout.take().map_or(Ok(()), |mut pipe| until(&mut pipe, &mut text, deadline));
    if let Err(why) = read {
        // What is still running has nothing to say any more.
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("`{name}` {why}"));
    }
    let mut complaint = Vec::new();
    if let Some(mut pipe) = child.stderr.take() {
        let _ = until(&mut pipe, &mut complaint, deadline);
    }
    let status = ended(&mut child, deadline).map_err(|why| format!("`{name}` {why}"))?;
    if !status.success() {
        let complaint = String::from_utf8_lossy(&complaint);
        let line =
            complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        return Err(format!("`{name}` failed: {}", line.chars().take(200).collect::<String>()));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Waits for a program that has closed its output, which does not mean that it ends.
fn ended(child: &mut Child, deadline: Instant) -> Result<ExitStatus, String> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("took too long".into());
            }
            Err(e) => return Err(e.to_string()),
        }
    }
}

/// Reads to the end, up to a deadline.
fn until(
    pipe: &mut (impl Read + AsFd),
    into: &mut Vec<u8>,
    deadline: Instant,
) -> Result<(), String> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut chunk = [0_u8; 64 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("took too long".into());
        }
        let wait = Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(1),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(pipe, PollFlags::IN)];
        match poll(&mut fds, Some(&wait)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(e) => return Err(e.to_string()),
        }
        match pipe.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => into.extend(chunk.iter().take(count)),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.to_string()),
        }
        if into.len() > MAX_BYTES {
            return Err("printed too much".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str, limit: Duration) -> Result<String, String> {
        output(Path::new("/bin/sh"), &["-c", text], limit)
    }

    #[test]
    fn output_failure_and_time_are_told_apart() {
        let long = Duration::from_secs(20);
        assert_eq!(shell("echo out; echo no >&2", long).unwrap(), "out\n");
        assert!(shell("echo why >&2; exit 3", long).unwrap_err().contains("why"));
        assert!(
            shell("exec sleep 60", Duration::from_millis(50)).unwrap_err().contains("too long")
        );
        // Its output is closed, and it runs on.
        assert!(
            shell("exec sleep 60 >/dev/null 2>&1", Duration::from_millis(50))
                .unwrap_err()
                .contains("too long")
        );
        assert!(output(Path::new("/nothing"), &["x"], long).is_err());
    }
}
