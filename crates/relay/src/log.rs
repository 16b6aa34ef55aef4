//! The narrator's log: JSON Lines, one file a workspace, read from its end.
//!
//! A line is appended by one write. Lines are not synced one by one: they outlive this process, and a power cut may take the newest;
//! what was said to readers is in their conversation's log, which is synced. A line that a crash tore off stays as it is, is never read,
//! and the next one begins on a line of its own. A file that is full becomes the workspace's older one, and the one before is dropped.

pub(crate) mod backwards;
mod line;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use line::{Line, LineType, headline, shortened};

use crate::error::NarratorError;
use crate::safe_name::file_name;
use backwards::Backwards;

/// A workspace's log is at most twice this: years of narration, and still a file that one can open.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// How far back one look goes: the longest lines there are, and thousands of usual ones, in some milliseconds.
const MAX_SCAN_BYTES: usize = 8 << 20;

/// The logs of all workspaces. Its calls block on the disk. Clones are the same logs.
#[derive(Debug, Clone)]
pub(crate) struct NarratorLog {
    folder: PathBuf,
    max_file_bytes: u64,
    /// One append at a time, as each first looks at how the file ends.
    appending: Arc<Mutex<()>>,
}

impl NarratorLog {
    /// Logs in a folder, which is made when it isn't there.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, NarratorError> {
        fs::create_dir_all(&folder).map_err(failed("make the folder", &folder))?;
        Ok(Self {
            folder,
            max_file_bytes: MAX_FILE_BYTES,
            appending: Arc::default(),
        })
    }

    /// The same with smaller files.
    #[cfg(test)]
    pub(crate) fn with_max_file_bytes(self, max_file_bytes: u64) -> Self {
        Self { max_file_bytes, ..self }
    }

    /// Appends a line to its workspace's log.
    pub(crate) fn append(&self, line: &Line) -> Result<(), NarratorError> {
        let path = self.path(&line.workspace_id);
        let _one_at_a_time = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = self.append_to(&path, &line.json());
        appended.map_err(failed("append to", &path))
    }

    /// Shows whole lines, the newest first, to `look` until it has seen enough; at most [`MAX_SCAN_BYTES`] of them.
    pub(crate) fn newest(
        &self,
        workspace: &str,
        mut look: impl FnMut(&str, Line) -> ControlFlow<()>,
    ) -> Result<(), NarratorError> {
        let path = self.path(workspace);
        let unreadable = failed("read", &path);
        let mut seen_bytes = 0;
        for file in self.open_to_read(&path).map_err(&unreadable)? {
            for text in Backwards::new(file).map_err(&unreadable)? {
                let text = text.map_err(&unreadable)?;
                seen_bytes += text.len() + 1;
                if let Some(line) = Line::parse(&text)
                    && look(&String::from_utf8_lossy(&text), line).is_break()
                {
                    return Ok(());
                }
                if seen_bytes >= MAX_SCAN_BYTES {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The files of a workspace that there are, the newer first; both as they are at one moment.
    fn open_to_read(&self, path: &Path) -> io::Result<Vec<File>> {
        let _none_is_moved = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = Vec::new();
        for path in [path, &older(path)] {
            match File::open(path) {
                Ok(file) => files.push(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    /// The file of a workspace.
    pub(crate) fn path(&self, workspace: &str) -> PathBuf {
        self.folder.join(format!("{}.jsonl", file_name(workspace)))
    }

    fn append_to(&self, path: &Path, json: &str) -> io::Result<()> {
        let mut file = open(path)?;
        let length = file.metadata()?.len();
        if length > 0 && length + json.len() as u64 + 2 > self.max_file_bytes {
            drop(file);
            fs::rename(path, older(path))?;
            file = open(path)?;
        }
        let torn = if ends_torn(&mut file)? { "\n" } else { "" };
        file.write_all(format!("{torn}{json}\n").as_bytes())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

/// Whether the last line was cut off.
fn ends_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("1.jsonl")
}

/// Names what was tried with a file of the narrator's.
pub(crate) fn failed(what: &'static str, path: &Path) -> impl Fn(io::Error) -> NarratorError {
    move |source| NarratorError::File {
        what,
        path: path.to_owned(),
        source: Arc::new(source),
    }
}
