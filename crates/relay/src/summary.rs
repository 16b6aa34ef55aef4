//! A workspace's summary: its newest events in, a Markdown document out, which replaces the one before.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use protocol::NarrationSource;

use crate::error::NarratorError;
use crate::log::{Line, LineType, failed, shortened};
use crate::safe_name::file_name;

/// Events of a summary: what a reader who comes back wants to know, on a page or two.
pub(crate) const SUMMARY_EVENTS: usize = 50;

/// Characters of one event: a line or two.
const EVENT_CHARS: usize = 240;

/// Characters of a workspace's name in the title.
const TITLE_CHARS: usize = 80;

/// Characters of an agent's id: all of a usual one.
const SPEAKER_CHARS: usize = 64;

/// The folder of all summaries. Its calls block on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Summaries {
    folder: PathBuf,
}

impl Summaries {
    /// Summaries in a folder, which is made when it isn't there.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, NarratorError> {
        fs::create_dir_all(&folder).map_err(failed("make the folder", &folder))?;
        Ok(Self { folder })
    }

    /// Names the document of a workspace, without its folder.
    pub(crate) fn reference(workspace: &str) -> String {
        format!("{}.md", file_name(workspace))
    }

    /// Whether there is one.
    pub(crate) fn exists(&self, workspace: &str) -> bool {
        self.folder.join(Self::reference(workspace)).is_file()
    }

    /// Replaces a workspace's document whole: a reader, or a crash, meets the old one or the new one. Callers take turns.
    pub(crate) fn replace(&self, workspace: &str, text: &str) -> Result<(), NarratorError> {
        let path = self.folder.join(Self::reference(workspace));
        replace(&path, text).map_err(failed("write the summary", &path))
    }
}

/// Whether a line counts towards the next summary.
pub(crate) fn is_said(kind: LineType) -> bool {
    matches!(
        kind,
        LineType::Narration | LineType::AgentUpdate | LineType::AgentResult
    )
}

/// The document, from lines of which the newest comes first.
pub(crate) fn markdown(workspace: &str, at: &str, newest: &[Line]) -> String {
    let mut text = format!(
        "# {}\n\nAs of {at}, the newest first.\n\n",
        shortened(workspace, TITLE_CHARS)
    );
    for line in newest {
        let words = shortened(&line.detail, EVENT_CHARS);
        text.push_str(&format!("- {} **{}** {words}\n", line.timestamp, speaker(line)));
    }
    text
}

/// Whether a line belongs into a summary.
pub(crate) fn is_summed_up(kind: LineType) -> bool {
    match kind {
        LineType::UserMessage
        | LineType::Narration
        | LineType::AgentUpdate
        | LineType::AgentResult
        | LineType::Error => true,
        LineType::NarrationSuppressed | LineType::SummaryRefresh | LineType::WorkspaceNarratorCompleted => false,
    }
}

fn speaker(line: &Line) -> String {
    match (line.kind, line.source) {
        (LineType::Error, _) => "error".to_owned(),
        (_, NarrationSource::Narrator) => "narrator".to_owned(),
        (_, NarrationSource::Agent) => shortened(&line.agent_id, SPEAKER_CHARS),
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
