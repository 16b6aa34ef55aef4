//! What is asked, what is made of recorded answers, and a real model behind llama.cpp's server.

mod ask;
mod read;
mod real_model;
mod recorded;
mod server;

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use tokio::runtime::Handle;
use upstream::{ApiKey, Settings, Timeouts};

use crate::OpenAiServer;

/// The only time that a test waits out is before a busy server is asked again.
fn settings() -> Settings {
    Settings {
        key: Some(ApiKey::new("sk-secret").expect("a key in order")),
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
