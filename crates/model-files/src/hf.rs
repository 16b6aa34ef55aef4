//! Hugging Face folders.

mod config;
mod model;
mod shards;

pub(crate) use model::open;
#[cfg(feature = "fuzz")]
pub(crate) use shards::read_header;
