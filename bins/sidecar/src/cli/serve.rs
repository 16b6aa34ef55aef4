//! `sidecar serve`: starts everything, says where it listens, and stops on SIGTERM or Ctrl-C.

use std::io::{self, Write};

use super::Failure;
use crate::app::App;
use crate::settings::Loaded;
use crate::{Engines, logging};

/// Serves until a signal stops it; a second signal stops it at once.
pub(super) async fn serve(loaded: Loaded) -> Result<(), Failure> {
    let _logs = logging::start(&loaded.settings.log_dir, logging::Stderr::Readable)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let engines = Engines::open(&loaded.settings)?;
    let running = App::start(loaded.settings, engines).await?;
    announce(&running.url());
    stop_signal().await?;
    tracing::info!("stopping");
    tokio::select! {
        stopped = running.stop() => Ok(stopped?),
        again = stop_signal() => {
            again?;
            Err("stopped at once by a second signal".into())
        }
    }
}

/// Says where the sidecar listens, on a line of its own: programs that start a sidecar read it.
fn announce(url: &str) {
    // Nobody may be reading; that is no reason not to serve.
    let _ = writeln!(io::stdout().lock(), "listening on {url}");
    tracing::info!(url, "listening");
}

/// Waits for SIGTERM or Ctrl-C.
#[cfg(unix)]
async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn stop_signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
