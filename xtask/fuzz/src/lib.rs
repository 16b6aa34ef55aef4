//! What holds for any bytes that a peer, a file or a model server sends.
//!
//! Each [`Target`] takes bytes and panics when a promise about them is broken: not only that nothing crashes, but what
//! must be true of whatever is accepted. `cargo xtask fuzz` runs them under libFuzzer; the tests here replay
//! `fixtures/fuzz` and try seeded changes of it. Nothing here is part of the sidecar.

mod answers;
mod frames;
mod imports;
mod messages;
#[cfg(test)]
mod tests;

/// One promise, for any bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called on the command line, and its folder below `fixtures/fuzz`.
    pub name: &'static str,
    /// Panics when the promise is broken.
    pub check: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    target("frames", frames::check),
    target("messages", messages::check),
    target("agent-files", agent_store::fuzz::agent_file),
    target("gguf", model_files::fuzz::gguf),
    target("safetensors", model_files::fuzz::safetensors),
    target("ollama-lines", answers::ollama),
    target("openai-events", answers::openai),
    target("imports", imports::check),
];

/// The environment variable that names the fuzzer's target: all arguments are libFuzzer's own.
const CHOICE: &str = "FUZZ_TARGET";

const fn target(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, check }
}

/// The target that the environment asks for.
///
/// # Panics
/// There is no target of that name: nothing can be fuzzed.
#[must_use]
pub fn chosen() -> Target {
    let name = std::env::var(CHOICE).unwrap_or_default();
    let found = TARGETS.into_iter().find(|target| target.name == name);
    found.expect("FUZZ_TARGET names a target")
}
