//! Engines behind Ollama's `/api/chat`.
//!
//! Requests of the [`engine::Engine`] trait go in, the lines of the NDJSON answer come out as its events. Connections,
//! time-outs and cancellation are `upstream`'s. It never pulls, loads or unloads a model by itself.

mod decoder;
mod models;
mod request;
mod server;
#[cfg(test)]
mod tests;

pub use server::OllamaServer;

/// Creates the decoder of an answer, for `cargo xtask fuzz`.
#[cfg(feature = "fuzz")]
pub fn fuzz_decoder() -> impl upstream::Decoder {
    decoder::OllamaDecoder::default()
}
