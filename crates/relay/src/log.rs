//! The narrator's log: JSON Lines, one file for each workspace, read from its end.
//!
//! A line is appended by one write, without fsync: it outlives this process, but a power cut may take the newest lines.
//! Published narration is in its conversation's log, which is synced. A line that a crash cut off stays in the file but
//! is never read, and the next one starts on a new line. A full file replaces the workspace's older file.

mod line;
pub(crate) mod reverse_lines;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use line::{Line, LineType, headline, shortened};

use crate::error::NarratorError;
use crate::safe_name::file_name;
use reverse_lines::ReverseLines;

/// Most bytes of a file, of which a workspace has two: years of narration, and still a file that an editor opens.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Most bytes that one query reads: the longest lines, or thousands of usual ones, in some milliseconds.
const MAX_SCAN_BYTES: usize = 8 << 20;

/// The logs of all workspaces. Calls block on the disk. Clones share the logs.
#[derive(Debug, Clone)]
pub(crate) struct NarratorLog {
    folder: PathBuf,
    max_file_bytes: u64,
    /// Serialises appends, each of which first reads the end of the file.
    appending: Arc<Mutex<()>>,
}

impl NarratorLog {
    /// Opens the logs in a folder, which is created if it is missing.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, NarratorError> {
        fs::create_dir_all(&folder).map_err(file_error("make the folder", &folder))?;
        Ok(Self {
            folder,
            max_file_bytes: MAX_FILE_BYTES,
            appending: Arc::default(),
        })
    }

    /// Limits the size of the files.
    #[cfg(test)]
    pub(crate) fn with_max_file_bytes(self, max_file_bytes: u64) -> Self {
        Self { max_file_bytes, ..self }
    }

    /// Appends a line to its workspace's log.
    pub(crate) fn append(&self, line: &Line) -> Result<(), NarratorError> {
        let path = self.path(&line.workspace_id);
        let _one_at_a_time = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = self.append_to(&path, &line.json());
        appended.map_err(file_error("append to", &path))
    }

    /// Calls `visit` with complete lines, newest first, until it breaks or [`MAX_SCAN_BYTES`] have been read.
    pub(crate) fn newest(
        &self,
        workspace: &str,
        mut visit: impl FnMut(&str, Line) -> ControlFlow<()>,
    ) -> Result<(), NarratorError> {
        let path = self.path(workspace);
        let unreadable = file_error("read", &path);
        let mut seen_bytes = 0;
        for file in self.open_to_read(&path).map_err(&unreadable)? {
            for text in ReverseLines::new(file).map_err(&unreadable)? {
                let text = text.map_err(&unreadable)?;
                seen_bytes += text.len() + 1;
                if let Some(line) = Line::parse(&text)
                    && visit(&String::from_utf8_lossy(&text), line).is_break()
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

    /// Opens the existing files of a workspace, newer first, while no append can rename them.
    fn open_to_read(&self, path: &Path) -> io::Result<Vec<File>> {
        let _no_append = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Returns the path of a workspace's newer file.
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

/// Returns true if the last line was cut off.
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

/// Returns a function that wraps an I/O error with the failed operation and the file's path.
pub(crate) fn file_error(what: &'static str, path: &Path) -> impl Fn(io::Error) -> NarratorError {
    move |source| NarratorError::File {
        what,
        path: path.to_owned(),
        source: Arc::new(source),
    }
}
