//! `sidecar serve`: starts everything, announces the address, and drains on SIGTERM or Ctrl-C.

use std::io::{self, Write};

use crate::app::App;
use crate::error::CommandError;
use crate::logging;
use crate::models::Engines;
use crate::notify::{Notifier, ServiceState};
use crate::settings::Loaded;

/// Serves until a signal; then lets running turns end, up to a deadline. A second signal stops at once.
pub(super) async fn serve(loaded: Loaded) -> Result<(), CommandError> {
    // Before anything else, so that no signal meets the default action, which ends the process.
    let mut signals = StopSignals::listen()?;
    let _logs = logging::start(&loaded.settings.log_dir, logging::Stderr::Readable)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if let Ok(folder) = std::env::current_dir() {
        tracing::info!(folder = %folder.display(), "working");
    }
    let manager = Notifier::from_environment();
    let grace = loaded.settings.drain;
    let engines = Engines::open(&loaded.settings)?;
    let running = App::start(loaded.settings, engines).await?;
    announce(&running.url());
    manager.notify(ServiceState::Ready);
    signals.next().await?;
    running.refuse_turns();
    manager.notify(ServiceState::Stopping);
    tracing::info!(
        seconds = grace.as_secs(),
        "stopping when the running turns have ended, or then"
    );
    tokio::select! {
        stopped = running.drain(grace) => Ok(stopped?),
        again = signals.next() => {
            again?;
            Err("stopped at once by a second signal".into())
        }
    }
}

/// Prints the sidecar's URL, on a line of its own: programs that start a sidecar read it.
fn announce(url: &str) {
    // A closed stdout is no reason not to serve.
    let _ = writeln!(io::stdout().lock(), "listening on {url}");
    tracing::info!(url, "listening");
}

/// SIGTERM and Ctrl-C, from the moment they are first listened for.
#[cfg(unix)]
struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // Ignored by installing a handler: a write beyond a limit on file sizes then fails, as one to a full disk does.
        drop(signal(SignalKind::from_raw(libc::SIGXFSZ))?);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::select! {
            _ = self.terminate.recv() => Ok(()),
            _ = self.interrupt.recv() => Ok(()),
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
