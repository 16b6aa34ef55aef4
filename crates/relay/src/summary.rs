//! A workspace's summary: a Markdown document of its newest events, which replaces the previous one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use protocol::NarrationSource;

use crate::error::NarratorError;
use crate::log::{Line, LineType, file_error, shortened};
use crate::safe_name::file_name;

/// Most events of a summary: a page or two for a reader who returns.
pub(crate) const SUMMARY_EVENTS: usize = 50;

/// Most characters of one event: a line or two.
const EVENT_CHARS: usize = 240;

/// Most characters of a workspace's name in the title.
const TITLE_CHARS: usize = 80;

/// Most characters of an agent's id: all of a usual one.
const AUTHOR_CHARS: usize = 64;

/// The folder of all summaries. Calls block on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Summaries {
    folder: PathBuf,
}

impl Summaries {
    /// Opens the summaries in a folder, which is created if it is missing.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, NarratorError> {
        fs::create_dir_all(&folder).map_err(file_error("make the folder", &folder))?;
        Ok(Self { folder })
    }

    /// Returns the name of a workspace's document, without its folder.
    pub(crate) fn reference(workspace: &str) -> String {
        format!("{}.md", file_name(workspace))
    }

    /// Returns true if the workspace has a summary.
    pub(crate) fn exists(&self, workspace: &str) -> bool {
        self.folder.join(Self::reference(workspace)).is_file()
    }

    /// Replaces a workspace's document atomically, also in a crash. Must not be called concurrently.
    pub(crate) fn replace(&self, workspace: &str, text: &str) -> Result<(), NarratorError> {
        let path = self.folder.join(Self::reference(workspace));
        replace(&path, text).map_err(file_error("write the summary", &path))
    }
}

/// Returns true if a line counts towards the next summary.
pub(crate) fn counts_towards_summary(kind: LineType) -> bool {
    matches!(
        kind,
        LineType::Narration | LineType::AgentUpdate | LineType::AgentResult
    )
}

/// Returns the document for lines in the order newest first.
pub(crate) fn markdown(workspace: &str, at: &str, newest: &[Line]) -> String {
    let mut text = format!(
        "# {}\n\nAs of {at}, the newest first.\n\n",
        shortened(workspace, TITLE_CHARS)
    );
    for line in newest {
        let words = shortened(&line.detail, EVENT_CHARS);
        text.push_str(&format!("- {} **{}** {words}\n", line.timestamp, author(line)));
    }
    text
}

/// Returns true if a summary includes a line.
pub(crate) fn belongs_in_summary(kind: LineType) -> bool {
    match kind {
        LineType::UserMessage
        | LineType::Narration
        | LineType::AgentUpdate
        | LineType::AgentResult
        | LineType::Error => true,
        LineType::NarrationSuppressed | LineType::SummaryRefresh | LineType::WorkspaceNarratorCompleted => false,
    }
}

fn author(line: &Line) -> String {
    match (line.kind, line.source) {
        (LineType::Error, _) => "error".to_owned(),
        (_, NarrationSource::Narrator) => "narrator".to_owned(),
        (_, NarrationSource::Agent) => shortened(&line.agent_id, AUTHOR_CHARS),
        (_, NarrationSource::System) => "system".to_owned(),
        (_, NarrationSource::User) => "user".to_owned(),
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("md.tmp");
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}
