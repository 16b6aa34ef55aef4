//! GGUF files, versions 2 and 3: the header, its metadata, and where each tensor lies.

mod cursor;
mod header;
mod metadata;
mod tensors;

pub(crate) use header::Gguf;
pub(crate) use metadata::Metadata;
pub(crate) use tensors::TensorInfo;
