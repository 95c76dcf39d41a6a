//! The guard's process, as the supervisor sees it.

use super::Sockets;
use super::gateway::Gateway;
use crate::channel::{self, Channel};
use crate::daemon::protocol::{FromGuard, ToGuard};
use crate::home::Home;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long a guard that was told to stop may take before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A running guard.
pub(super) struct GuardProcess {
    child: Child,
    channel: Channel,
}

impl GuardProcess {
    /// Starts a guard and waits until it is ready. Its channel is its standard input.
    pub(super) async fn start(
        home: &Home,
        sockets: &Sockets,
        within: Duration,
    ) -> Result<Self, String> {
        let fail = |e: std::io::Error| format!("cannot start the guard: {e}");
        let (ours, theirs) = channel::pair().map_err(fail)?;
        let child = Command::new("/proc/self/exe")
            .arg("guard")
            .arg("--home")
            .arg(home.dir())
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(fail)?;
        let mut guard = Self { child, channel: Channel::new(ours).map_err(fail)? };
        guard.send(&ToGuard::Sockets, &[sockets.plugin.as_fd(), sockets.door.as_fd()]).await;
        let ready = async {
            loop {
                match guard.recv().await {
                    Some(FromGuard::Ready) => return true,
                    Some(_) => {}
                    None => return false,
                }
            }
        };
        match tokio::time::timeout(within, ready).await {
            Ok(true) => Ok(guard),
            Ok(false) => {
                let how = guard.reap().await;
                Err(format!("the guard did not start ({how}); what it said stands above"))
            }
            Err(_) => Err(format!("the guard was not ready within {} s", within.as_secs())),
        }
    }

    /// Its process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The next message; `None` when it is gone.
    pub(super) async fn recv(&self) -> Option<FromGuard> {
        match self.channel.recv::<FromGuard>().await {
            Ok(Some((message, _))) => Some(message),
            Ok(None) => None,
            Err(e) => {
                tracing::error!(error = %e, "the guard's channel failed");
                None
            }
        }
    }

    /// Sends a message. A guard that is gone shows at the next `recv`.
    pub(super) async fn tell(&self, message: &ToGuard) {
        self.send(message, &[]).await;
    }

    /// Tells of a started gateway.
    pub(super) async fn gateway_up(&self, gateway: &Gateway) {
        let (up, fds) = gateway.introduce();
        self.send(&ToGuard::Gateway(up), &fds).await;
    }

    /// Tells of a started run with network.
    pub(super) async fn run_started(
        &self,
        run: String,
        session_key: String,
        only: Option<BTreeSet<String>>,
        listener: OwnedFd,
    ) {
        self.send(&ToGuard::RunStarted { run, session_key, only }, &[listener.as_fd()]).await;
    }

    async fn send(&self, message: &ToGuard, fds: &[std::os::fd::BorrowedFd<'_>]) {
        if let Err(e) = self.channel.send(message, fds).await {
            tracing::warn!(error = %e, "message to the guard not sent");
        }
    }

    /// Waits for its end and says how it ended.
    pub(super) async fn reap(&mut self) -> String {
        match tokio::time::timeout(STOP_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(e)) => e.to_string(),
            Err(_) => {
                let _ = self.child.kill().await;
                "killed, because it had closed its channel and went on".into()
            }
        }
    }

    /// Stops it in order.
    pub(super) async fn stop(mut self) {
        self.tell(&ToGuard::Stop).await;
        self.reap().await;
    }
}
