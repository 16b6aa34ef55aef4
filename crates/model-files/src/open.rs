//! Opens a model of either format: headers in, one checked [`ModelFiles`] out.

mod gguf;
mod hf;

use std::path::Path;

use crate::{ModelFileError, ModelFiles};

#[cfg(feature = "fuzz")]
pub(crate) use gguf::read as read_gguf;

impl ModelFiles {
    /// Opens a GGUF file, or the folder of a Hugging Face model.
    ///
    /// # Errors
    /// A [`ModelFileError`] that names the file and what is wrong with it or not supported.
    pub fn open(path: &Path) -> Result<Self, ModelFileError> {
        if path.is_dir() {
            hf::open(path)
        } else {
            gguf::open(path).map_err(|error| error.within(path))
        }
    }
}
