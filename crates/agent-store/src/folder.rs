//! The folder of agent files: bounded reads of regular files, and atomic writes.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
};

use crate::{AgentId, FileProblem};

/// The largest file that is read or written.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

const SUFFIX: &str = ".md";

/// A folder with one file per agent.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Creates the folder if it is missing.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Returns the folder's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of an agent's file, whether or not it exists.
    pub(crate) fn file(&self, id: &AgentId) -> PathBuf {
        self.path.join(format!("{id}{SUFFIX}"))
    }

    /// Lists the names that end in `.md`, sorted. Hidden files are skipped: editors' temporary files and our own are
    /// hidden.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let bytes = name.as_encoded_bytes();
            if bytes.ends_with(SUFFIX.as_bytes()) && !bytes.starts_with(b".") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Reads an agent's file. Returns `None` if there is none.
    pub(crate) fn read(&self, id: &AgentId) -> Result<Option<String>, FileProblem> {
        let path = self.file(id);
        let opened = fs::symlink_metadata(&path).map(|metadata| {
            if metadata.is_symlink() {
                return Err(FileProblem::SymbolicLink);
            }
            // Opening a pipe would wait for its other end.
            if metadata.is_file() {
                Ok(())
            } else {
                Err(FileProblem::NotAFile)
            }
        });
        match opened {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(FileProblem::Unreadable)??,
        }
        match File::open(&path) {
            // It was deleted after the check.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => read_text(opened.map_err(FileProblem::Unreadable)?).map(Some),
        }
    }

    /// Replaces an agent's file: a temporary file, fsync, rename, fsync of the folder.
    pub(crate) fn write(&self, id: &AgentId, text: &str) -> io::Result<()> {
        let (target, temporary) = (self.file(id), self.path.join(format!(".{id}{SUFFIX}.tmp")));
        let written = write_new(&temporary, text, fs::metadata(&target).ok())
            .and_then(|()| fs::rename(&temporary, &target))
            .and_then(|()| self.sync());
        if written.is_err() {
            // It may not be there; the error that counts is the first one.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes an agent's file. Returns true if there was one.
    pub(crate) fn remove(&self, id: &AgentId) -> io::Result<bool> {
        match fs::remove_file(self.file(id)) {
            Ok(()) => self.sync().map(|()| true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Syncs the folder, so that renames and removals survive a power cut. Only Unix can open a folder for this.
    fn sync(&self) -> io::Result<()> {
        if cfg!(unix) {
            File::open(&self.path)?.sync_all()
        } else {
            Ok(())
        }
    }
}

/// Returns the id that a file's name stands for.
pub(crate) fn id_of(name: &OsString) -> Result<AgentId, FileProblem> {
    let name = name.to_str().ok_or(FileProblem::NameNotUtf8)?;
    Ok(AgentId::parse(name.strip_suffix(SUFFIX).unwrap_or(name))?)
}

fn read_text(file: File) -> Result<String, FileProblem> {
    let bytes = file.metadata().map_err(FileProblem::Unreadable)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(FileProblem::TooLarge {
            bytes,
            limit: MAX_FILE_BYTES,
        });
    }
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    // The file may grow while it is read.
    let read = file
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(FileProblem::Unreadable)? as u64;
    if read > MAX_FILE_BYTES {
        return Err(FileProblem::TooLarge {
            bytes: read,
            limit: MAX_FILE_BYTES,
        });
    }
    String::from_utf8(content).map_err(|error| FileProblem::NotUtf8 {
        byte: error.utf8_error().valid_up_to(),
    })
}

fn write_new(path: &Path, text: &str, replaced: Option<fs::Metadata>) -> io::Result<()> {
    // A crash may have left one. `create_new` then never opens the file through a link.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    if let Some(replaced) = replaced {
        // A file that only its owner may read keeps its permissions.
        file.set_permissions(replaced.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
