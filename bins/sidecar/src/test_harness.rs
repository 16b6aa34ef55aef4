//! The real sidecar for a host's own tests: on a free port of 127.0.0.1, in temporary folders, with any engine and any relay.
//!
//! An engine goes in, for tests mostly an `engine::ScriptedEngine`; what comes out answers HTTP and WebSocket as the binary does.
//! Nothing outside of its folders is read or written, neither an environment nor a settings file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use relay::Relay;
use tempfile::TempDir;

use crate::error::StartError;
use crate::{App, Engines, Running, Settings};

/// What a [`TestSidecar`] is made of.
pub struct Harness {
    engines: Engines,
    relay: Option<Arc<dyn Relay>>,
    folder: Arc<TempDir>,
    settings: Settings,
}

/// A sidecar that serves until it is closed or dropped.
pub struct TestSidecar {
    running: Running,
    folder: Arc<TempDir>,
}

impl Harness {
    /// A sidecar on which this engine answers, or one of these.
    ///
    /// # Errors
    /// The folders can't be made.
    pub fn new(engines: impl Into<Engines>) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().map_err(|source| StartError::MakeFolder {
            path: std::env::temp_dir(),
            source,
        })?;
        Self::within(Arc::new(folder), engines)
    }

    /// As [`Harness::new`], on the folders of a sidecar that was there before: a restart.
    ///
    /// # Errors
    /// Only where a default is refused, which no version does.
    pub fn within(folder: Arc<TempDir>, engines: impl Into<Engines>) -> Result<Self, StartError> {
        let settings = settings_in(folder.path())?;
        Ok(Self {
            engines: engines.into(),
            relay: None,
            folder,
            settings,
        })
    }

    /// Answers what is said to narrators; without one the agent `controller` does.
    #[must_use]
    pub fn relay(mut self, relay: Arc<dyn Relay>) -> Self {
        self.relay = Some(relay);
        self
    }

    /// Changes any setting.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start(self) -> Result<TestSidecar, StartError> {
        let running = App::start_with(self.settings, self.engines, self.relay).await?;
        Ok(TestSidecar {
            running,
            folder: self.folder,
        })
    }
}

impl TestSidecar {
    /// Where it answers HTTP: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.running.url()
    }

    /// Where it answers WebSockets.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("{}/ws/chat", self.running.url().replacen("http", "ws", 1))
    }

    /// The sidecar itself.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Its folder, with `agents`, `data`, `logs` and `summaries` in it. It goes away with its last owner.
    #[must_use]
    pub fn folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// Stops it, and gives its folders for a restart.
    ///
    /// # Errors
    /// The server failed while it ran.
    pub async fn close(self) -> Result<Arc<TempDir>, StartError> {
        self.running.stop().await?;
        Ok(self.folder)
    }

    /// Stops it as [`Running::drain`] does, and gives its folders for a restart.
    ///
    /// # Errors
    /// The server failed while it ran.
    pub async fn drain(self, grace: Duration) -> Result<Arc<TempDir>, StartError> {
        self.running.drain(grace).await?;
        Ok(self.folder)
    }
}

/// The defaults, on a free port and in a folder.
///
/// # Errors
/// Only where a default is refused, which no version does.
pub fn settings_in(folder: &Path) -> Result<Settings, StartError> {
    let mut settings = Settings::from_sources(None, Some([].into()))?.settings;
    "127.0.0.1".clone_into(&mut settings.host);
    settings.port = 0;
    settings.agents_dir = folder.join("agents");
    settings.data_dir = folder.join("data");
    settings.log_dir = folder.join("logs");
    settings.summary_dir = folder.join("summaries");
    Ok(settings)
}
