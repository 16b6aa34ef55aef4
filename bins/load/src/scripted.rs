//! The server under test: the real sidecar, with an engine that needs no model.

use std::sync::Arc;

use sidecar::test_harness::Harness;

use crate::error::{LoadError, Result};
use crate::stamping::StampingEngine;
use crate::{Pace, child};

/// The agent that every socket asks.
pub(crate) const AGENT: &str = "stamper";

/// Serves until the parent closes the standard input.
pub(crate) fn serve(pace: Pace) -> Result<()> {
    let serving = async {
        let engine = StampingEngine::start(pace).map_err(|source| LoadError::Runtime { source })?;
        let sidecar = Harness::new(Arc::new(engine) as Arc<dyn engine::Engine>)?
            .start()
            .await?;
        write_agent(&sidecar.folder().path().join("agents"), pace)?;
        child::announce_address(&sidecar.running().addrs[0].to_string());
        child::parent_closed().await;
        Ok(())
    };
    actix_web::rt::System::new().block_on(serving)
}

fn write_agent(folder: &std::path::Path, pace: Pace) -> Result<()> {
    let path = folder.join(format!("{AGENT}.md"));
    let text = format!(
        "---\nid: {AGENT}\nname: Stamper\nsystem_prompt: Say the time.\noptions:\n  maxNewTokens: {}\n---\n",
        pace.tokens
    );
    std::fs::write(&path, text).map_err(|source| LoadError::WriteAgent {
        path: path.display().to_string(),
        source,
    })
}
