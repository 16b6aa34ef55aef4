//! The errors of this crate.

use std::{io, path::PathBuf};

use quant::QuantError;

/// Why a model could not be opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// A file doesn't exist or can't be read.
    #[error("model file \"{}\" can't be read: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The path is neither a file nor a folder, or a file in the folder is not a regular file.
    #[error("model file \"{}\" is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("model file \"{}\" is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The folder lacks a file that a Hugging Face model needs.
    #[error("model folder \"{}\" has no {file}", path.display())]
    MissingFile {
        /// The folder.
        path: PathBuf,
        /// The missing file.
        file: &'static str,
    },
    /// Something is wrong inside this file.
    #[error("model file \"{}\": {cause}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong; already part of this error's message.
        cause: Box<ModelFileError>,
    },
    /// The file doesn't start with the GGUF magic number.
    #[error("not a GGUF file: it starts with {found:02x?}")]
    NotGguf {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// The GGUF version is not supported (2 and 3 are, little endian).
    #[error("GGUF version {version} is not supported (2 and 3 are; big-endian files are not)")]
    GgufVersion {
        /// The version as read.
        version: u32,
    },
    /// The file ends inside something.
    #[error("the file ends inside {what}: {needed} bytes needed at byte {at}, {left} left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        at: usize,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that remain.
        left: usize,
    },
    /// There is more of something than any real model has.
    #[error("{count} {what} are over the limit of {limit}")]
    TooMany {
        /// What is over the limit.
        what: &'static str,
        /// The declared number.
        count: u64,
        /// The accepted number.
        limit: u64,
    },
    /// A text that has to be UTF-8 is not.
    #[error("{what} is not UTF-8")]
    NotUtf8 {
        /// The text.
        what: String,
    },
    /// A metadata value has a type that GGUF doesn't define.
    #[error("metadata \"{key}\" has the unknown type {id}")]
    MetadataType {
        /// The key.
        key: String,
        /// The type number.
        id: u32,
    },
    /// A key occurs twice.
    #[error("\"{key}\" occurs twice")]
    DuplicateKey {
        /// The metadata key, JSON key or tensor name.
        key: String,
    },
    /// A required setting is missing.
    #[error("\"{key}\" is missing")]
    MissingKey {
        /// The metadata or JSON key.
        key: String,
    },
    /// A setting has a value that is not allowed.
    #[error("\"{key}\" is {found}, expected {expected}")]
    BadValue {
        /// The metadata or JSON key.
        key: String,
        /// The expected value.
        expected: &'static str,
        /// The value in the file.
        found: String,
    },
    /// The model needs a feature that is not supported.
    #[error("{feature} \"{value}\" is not supported ({supported})")]
    Unsupported {
        /// The feature.
        feature: &'static str,
        /// Its value in the file.
        value: String,
        /// What is supported.
        supported: &'static str,
    },
    /// A tensor has no dimension, or too many.
    #[error("tensor \"{name}\" has {n_dims} dimensions, expected 1 to 4")]
    TensorDims {
        /// The tensor.
        name: String,
        /// As declared.
        n_dims: u32,
    },
    /// A dimension of a tensor is zero, or its size overflows.
    #[error("tensor \"{name}\" has the impossible shape {shape:?}")]
    TensorSize {
        /// The tensor.
        name: String,
        /// As declared, outermost dimension last for GGUF.
        shape: Vec<u64>,
    },
    /// The values of a tensor can't be read.
    #[error("tensor \"{name}\": {source}")]
    TensorValues {
        /// The tensor.
        name: String,
        /// What is wrong with its type or length.
        source: QuantError,
    },
    /// The data type of a safetensors tensor is not supported.
    #[error("tensor \"{name}\" has the data type {dtype} (supported: F32, F16, BF16)")]
    TensorType {
        /// The tensor.
        name: String,
        /// As declared.
        dtype: String,
    },
    /// A tensor starts at a position that is not aligned.
    #[error("tensor \"{name}\" starts at {offset}, which is not a multiple of {alignment}")]
    TensorAlignment {
        /// The tensor.
        name: String,
        /// From the start of the data.
        offset: u64,
        /// As declared by the file.
        alignment: u64,
    },
    /// A tensor lies beyond the end of the file.
    #[error("tensor \"{name}\" takes {bytes} bytes at {offset}, but the file has {data_bytes} bytes of data")]
    TensorPastEnd {
        /// The tensor.
        name: String,
        /// From the start of the data.
        offset: u64,
        /// Its size.
        bytes: u64,
        /// Bytes between the header and the end of the file.
        data_bytes: u64,
    },
    /// Two tensors share bytes.
    #[error("tensors \"{first}\" and \"{second}\" overlap")]
    TensorsOverlap {
        /// The one that starts first.
        first: String,
        /// The one that starts inside it.
        second: String,
    },
    /// A tensor that the architecture needs is missing.
    #[error("tensor \"{name}\" is missing")]
    MissingTensor {
        /// As this kind of file names it.
        name: String,
    },
    /// The architecture has no such tensor.
    #[error("tensor \"{name}\" is not part of a Llama model")]
    UnexpectedTensor {
        /// As the file names it.
        name: String,
    },
    /// A tensor has another shape than the architecture requires.
    #[error("tensor \"{name}\" is {found:?}, expected {expected:?} (rows, columns)")]
    WrongShape {
        /// As this kind of file names it.
        name: String,
        /// Rows and columns by the configuration.
        expected: [usize; 2],
        /// Rows and columns in the file.
        found: [usize; 2],
    },
    /// A safetensors header is invalid.
    #[error("safetensors header: {reason}")]
    Safetensors {
        /// The error of the `safetensors` crate.
        reason: String,
    },
    /// A JSON file can't be parsed.
    #[error("{source}")]
    Json {
        /// The error of the parser, with its position.
        source: serde_json::Error,
    },
    /// The tokenizer can't be built or used.
    #[error("tokenizer: {reason}")]
    Tokenizer {
        /// Why.
        reason: String,
    },
    /// Plain text was encoded as a control token. It is refused, since text could otherwise pose as the system.
    #[error("tokenizer: plain text was encoded as the control token \"{token}\"")]
    ControlTokenInText {
        /// The token.
        token: String,
    },
    /// The chat template can't be compiled or rendered.
    #[error("chat template: {reason}")]
    Template {
        /// Why.
        reason: String,
    },
    /// The chat template can't be split into turn segments that stay the same as a conversation grows.
    #[error("chat template: {problem}")]
    TemplateNotByTurns {
        /// What differs.
        problem: &'static str,
    },
}

impl ModelFileError {
    /// Adds the file in which the error occurred.
    pub(crate) fn within(self, path: &std::path::Path) -> Self {
        match self {
            Self::Open { .. }
            | Self::NotAFile { .. }
            | Self::Empty { .. }
            | Self::MissingFile { .. }
            | Self::In { .. } => self,
            cause => Self::In {
                path: path.to_owned(),
                cause: Box::new(cause),
            },
        }
    }

    /// Returns the error without the name of the file.
    pub fn cause(&self) -> &Self {
        match self {
            Self::In { cause, .. } => cause.cause(),
            other => other,
        }
    }
}
