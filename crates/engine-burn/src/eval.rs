//! Measures a model: how well it predicts a text, what it generates from ids, what a long stream costs, and how fast it
//! is.
//!
//! Token ids go in, results come out as structs. Every sequence gets a cache of its own, without the spare slots that
//! only conversations need. Nothing here prints, tokenises or knows a conversation.

pub mod bench;
mod generate;
pub(crate) mod greedy;
mod long_stream;
mod perplexity;

pub use generate::{Choice, GenerateRun, generate_ids, teacher_forced};
pub use long_stream::{FlatCost, FlatCostRun, MemoryGrowth, flat_cost, memory_growth, resident_bytes};
pub use perplexity::{Nlls, PerplexityRun, perplexity};
