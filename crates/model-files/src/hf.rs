//! Hugging Face folders: their JSON files and the headers of their safetensors files.

pub(crate) mod config;
pub(crate) mod shards;

#[cfg(feature = "fuzz")]
pub(crate) use shards::read_header;
