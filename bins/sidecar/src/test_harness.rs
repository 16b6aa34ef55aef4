//! A real sidecar for the tests of programs that embed it: on a free port of 127.0.0.1, in temporary folders, with any
//! engine and any relay.
//!
//! An engine goes in, for tests mostly an `engine::ScriptedEngine`; a server comes out that answers HTTP and WebSocket
//! as the binary does. Nothing outside of its folders is read or written, neither an environment nor a settings file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use relay::Relay;
use tempfile::TempDir;

use crate::error::StartError;
use crate::{App, Engines, Running, Settings};

/// The parts of a [`TestSidecar`], before it starts.
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
    /// Prepares a sidecar whose answers come from this engine, or these engines.
    ///
    /// # Errors
    /// The folders can't be created.
    pub fn new(engines: impl Into<Engines>) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().map_err(|source| StartError::MakeFolder {
            path: std::env::temp_dir(),
            source,
        })?;
        Self::within(Arc::new(folder), engines)
    }

    /// Prepares a sidecar on the folders of an earlier one: a restart.
    ///
    /// # Errors
    /// Unreachable: the default settings are valid.
    pub fn within(folder: Arc<TempDir>, engines: impl Into<Engines>) -> Result<Self, StartError> {
        let settings = settings_in(folder.path())?;
        Ok(Self {
            engines: engines.into(),
            relay: None,
            folder,
            settings,
        })
    }

    /// Uses this relay for narrators; without one the agent `controller` answers.
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

    /// Starts the sidecar.
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
    /// Returns its HTTP address: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.running.url()
    }

    /// Returns its WebSocket address.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("{}/ws/chat", self.running.url().replacen("http", "ws", 1))
    }

    /// Returns the running sidecar.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Returns its folder, with `agents`, `data`, `logs` and `summaries` in it. It is deleted when the last owner drops
    /// it.
    #[must_use]
    pub fn folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// Stops the sidecar; returns its folder for a restart.
    ///
    /// # Errors
    /// The server failed while it ran.
    pub async fn close(self) -> Result<Arc<TempDir>, StartError> {
        self.running.stop().await?;
        Ok(self.folder)
    }

    /// Stops the sidecar as [`Running::drain`] does; returns its folder for a restart.
    ///
    /// # Errors
    /// The server failed while it ran.
    pub async fn drain(self, grace: Duration) -> Result<Arc<TempDir>, StartError> {
        self.running.drain(grace).await?;
        Ok(self.folder)
    }
}

/// Returns the default settings, on a free port and in a folder.
///
/// # Errors
/// Unreachable: the default settings are valid.
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
