//! Engines behind Ollama's `/api/chat`.
//!
//! In go requests of the [`engine::Engine`] trait; out come NDJSON lines read as its events. Connecting, time-outs and
//! cancelling are `upstream`'s. It never pulls, loads or unloads a model by itself.

mod ask;
mod models;
mod read;
mod server;
#[cfg(test)]
mod tests;

pub use server::OllamaServer;

/// What reads an answer, for `cargo xtask fuzz`.
#[cfg(feature = "fuzz")]
pub fn fuzz_decoder() -> impl upstream::Decoder {
    read::OllamaDecoder::default()
}
