//! Engines behind any OpenAI-compatible `/v1/chat/completions`: llama-server, vLLM, and many services.
//!
//! In go requests of the [`engine::Engine`] trait; out come server-sent events read as its events. Connecting, time-outs and
//! cancelling are `upstream`'s. The key is never shown.

mod ask;
mod models;
mod read;
mod server;
#[cfg(test)]
mod tests;

pub use server::OpenAiServer;

/// What reads an answer, for `cargo xtask fuzz`.
#[cfg(feature = "fuzz")]
pub fn fuzz_decoder() -> impl upstream::Decoder {
    read::OpenAiDecoder::default()
}
