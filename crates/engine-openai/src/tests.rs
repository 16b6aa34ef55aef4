//! The requests sent, the recorded answers read, and a real model behind llama.cpp's server.

mod decoder;
mod real_model;
mod recorded;
mod request;
mod server;

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use tokio::runtime::Handle;
use upstream::{ApiKey, Settings, Timeouts};

use crate::OpenAiServer;

/// Returns settings with a short wait before a retry, which is the only time that a test waits for.
fn settings() -> Settings {
    Settings {
        key: Some(ApiKey::new("sk-secret").expect("the key is valid")),
        timeouts: Timeouts {
            back_off: Duration::from_millis(1),
            ..Timeouts::default()
        },
        ..Settings::default()
    }
}

fn server(url: &str) -> OpenAiServer {
    OpenAiServer::new(url, settings(), Handle::current()).expect("the address is in order")
}

fn engine(url: &str) -> Arc<dyn Engine> {
    server(url).engine("smollm2:135m")
}
