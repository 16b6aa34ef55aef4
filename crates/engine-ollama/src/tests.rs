//! The requests sent, the recorded answers read, and a real model behind Ollama's interface.

mod models;
mod real_model;
mod recorded;
mod request;

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use tokio::runtime::Handle;
use upstream::{Settings, Timeouts};

use crate::OllamaServer;

/// Returns settings with a short wait before a retry, which is the only time that a test waits for.
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
