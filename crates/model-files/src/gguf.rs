//! GGUF files, versions 2 and 3.

mod cursor;
mod header;
mod metadata;
mod model;
mod tensors;

#[cfg(any(test, feature = "fuzz"))]
pub(crate) use header::Gguf;
pub(crate) use metadata::Metadata;
pub(crate) use model::open;
#[cfg(feature = "fuzz")]
pub(crate) use model::read;
