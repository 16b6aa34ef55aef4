//! What is asked, what is made of recorded answers, and a real model behind Ollama's wire.

mod ask;
mod models;
mod real_model;
mod recorded;

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use tokio::runtime::Handle;
use upstream::{Settings, Timeouts};

use crate::OllamaServer;

/// The only time that a test waits out is before a busy server is asked again.
fn settings() -> Settings {
    Settings {
        timeouts: Timeouts {
            back_off: Duration::from_millis(1),
            ..Timeouts::default()
        },
        ..Settings::default()
    }
}

fn server(url: &str) -> OllamaServer {
    OllamaServer::new(url, settings(), Handle::current()).expect("the address is in order")
}

fn engine(url: &str) -> Arc<dyn Engine> {
    server(url).engine("smollm2:135m")
}
