//! Engines behind any OpenAI-compatible `/v1/chat/completions`: llama-server, vLLM, and many services.
//!
//! Requests of the [`engine::Engine`] trait go in, the server-sent events of the answer come out as its events.
//! Connections, time-outs and cancellation are `upstream`'s. The key is never shown.

mod decoder;
mod models;
mod request;
mod server;
#[cfg(test)]
mod tests;

pub use server::OpenAiServer;

/// Creates the decoder of an answer, for `cargo xtask fuzz`.
#[cfg(feature = "fuzz")]
pub fn fuzz_decoder() -> impl upstream::Decoder {
    decoder::OpenAiDecoder::default()
}
