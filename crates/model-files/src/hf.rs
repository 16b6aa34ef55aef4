//! Hugging Face folders.

mod config;
mod model;
mod shards;

pub(crate) use model::open;
