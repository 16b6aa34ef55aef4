//! The errors of reading and writing agents, named after what was tried.

use std::{io, path::PathBuf};

use crate::{AgentId, InvalidAgentId};

/// Why an agent couldn't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AgentStoreError {
    /// There is no file of that id.
    #[error("agent \"{id}\" not found")]
    NotFound {
        /// The id.
        id: AgentId,
    },
    /// The file exists and isn't a valid agent. A write doesn't replace it, so that a mistake in an edit by hand never
    /// costs the rest of the file; it can be deleted.
    #[error("agent file \"{file}\" is broken")]
    Broken {
        /// The file's name in the folder.
        file: String,
        /// What is wrong with it.
        source: FileProblem,
    },
    /// The `If-Match` condition doesn't hold.
    #[error("agent \"{id}\" is not the version that the condition names")]
    ConditionFailed {
        /// The id.
        id: AgentId,
        /// The hash of the stored agent, if there is one.
        stored: Option<String>,
    },
    /// The `If-Match` header can't be parsed.
    #[error("condition {header:?} is neither * nor a list of entity tags")]
    InvalidCondition {
        /// The header's value, cut after 200 characters.
        header: String,
    },
    /// The draft's name is blank.
    #[error("agent \"{id}\" needs a name that is not blank")]
    BlankName {
        /// The id.
        id: AgentId,
    },
    /// The draft would make a file that couldn't be read back.
    #[error("agent \"{id}\" cannot be stored")]
    Unstorable {
        /// The id.
        id: AgentId,
        /// What would be wrong with its file.
        source: FileProblem,
    },
    /// The folder is full.
    #[error("there are {limit} agents already, which is the most")]
    TooManyAgents {
        /// The most files that are served.
        limit: usize,
    },
    /// The folder couldn't be made or listed.
    #[error("cannot open the agents folder {}", path.display())]
    OpenFolder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file couldn't be written. What was stored before is unchanged.
    #[error("cannot write the agent file {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file couldn't be removed.
    #[error("cannot delete the agent file {}", path.display())]
    Delete {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// What is wrong with one file of the folder.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// Its name is not an agent id.
    #[error(transparent)]
    Name(#[from] InvalidAgentId),
    /// The name isn't UTF-8.
    #[error("the file name is not UTF-8")]
    NameNotUtf8,
    /// It is a symbolic link, which could lead anywhere.
    #[error("it is a symbolic link")]
    SymbolicLink,
    /// It is a folder, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// There are more files than are served.
    #[error("there are more than {limit} agent files")]
    TooMany {
        /// The most files that are served.
        limit: usize,
    },
    /// The system couldn't read it.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// It is over the size limit.
    #[error("it has {bytes} bytes, over the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// It isn't UTF-8.
    #[error("it is not UTF-8 at byte {byte}")]
    NotUtf8 {
        /// The offset of the first invalid byte.
        byte: usize,
    },
    /// It has no front matter.
    #[error("its first line is not ---")]
    NoFrontMatter,
    /// The front matter has no end.
    #[error("its front matter has no closing ---")]
    UnclosedFrontMatter,
    /// The front matter isn't YAML.
    #[error("its front matter is not valid YAML: {0}")]
    Yaml(#[source] serde_norway::Error),
    /// Its aliases expand the front matter over the limit.
    #[error("its front matter grows over {limit} bytes when its aliases are expanded")]
    Expands {
        /// The most bytes that are accepted.
        limit: usize,
    },
    /// Its brackets would keep the parser busy for long.
    #[error("its front matter opens more than {limit} brackets, too many for its length")]
    TooManyBrackets {
        /// The most that a front matter of that length may open.
        limit: usize,
    },
    /// The front matter isn't `key: value`.
    #[error("its front matter is not a mapping")]
    NotAMapping,
    /// A required key is missing.
    #[error("its front matter has no {key}")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key's value isn't text.
    #[error("{key} in its front matter is not text")]
    NotText {
        /// The key.
        key: &'static str,
    },
    /// The name is blank.
    #[error("name in its front matter is blank")]
    BlankName,
    /// The id in the front matter is not the file's name.
    #[error("id in its front matter is {id:?}, which is not the file's name")]
    OtherId {
        /// The id in the front matter, cut after 64 characters.
        id: String,
    },
    /// A value has another type than its key requires, or can't be represented in JSON.
    #[error("{path} in its front matter is not {expected}")]
    Option {
        /// The value's path, such as `options.stop[0]`.
        path: String,
        /// What the value should be.
        expected: &'static str,
    },
    /// It reads back as another agent than the one that was written.
    #[error("it does not read back as it was written")]
    ReadsBackDifferently,
}

/// A file of the folder that is not served, and why.
#[derive(Debug)]
pub struct AgentProblem {
    /// The file's name in the folder, or the folder itself.
    pub file: String,
    /// What is wrong with it.
    pub problem: FileProblem,
}
