//! One file of the tree, with its Rust code set apart from comments and strings.

use std::{fs, path::Path};

use super::{
    Finding,
    blank::{Blanked, blank},
};
use crate::{
    error::{Context as _, Result},
    process::{command, output},
};

/// A file that git would commit.
pub(super) struct File {
    /// Below the root, with `/` between folders.
    pub(super) path: String,
    /// Its size on disk.
    pub(super) bytes: usize,
    /// Its text; empty if it isn't UTF-8 (a fixture).
    pub(super) text: String,
    /// For a Rust file, the text twice: once with only code, once with only comments.
    pub(super) rust: Option<Blanked>,
}

/// Reads every file that git has or would add.
pub(super) fn all(root: &Path) -> Result<Vec<File>> {
    let mut git = command("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listing = output(git.current_dir(root))?;
    let mut paths: Vec<&str> = listing.split_terminator('\0').collect();
    paths.sort_unstable();
    paths.dedup();
    // A file may be deleted and not yet committed.
    let present = paths.into_iter().filter(|path| root.join(path).is_file());
    present
        .map(|path| {
            fs::read(root.join(path))
                .while_trying("read", &root.join(path))
                .map(|bytes| File::new(path, bytes))
        })
        .collect()
}

impl File {
    /// Takes a file apart; `path` is below the root.
    pub(super) fn new(path: &str, content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        let bytes = content.len();
        let text = String::from_utf8(content).unwrap_or_default();
        let rust = path.ends_with(".rs").then(|| blank(&text));
        Self {
            path: path.to_owned(),
            bytes,
            text,
            rust,
        }
    }

    /// Adds a finding at a byte of the text.
    pub(super) fn report(&self, offset: usize, message: impl Into<String>, findings: &mut Vec<Finding>) {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        findings.push(Finding {
            path: self.path.clone(),
            line,
            message: message.into(),
        });
    }

    /// Whether it holds tests, which may be long and must not sleep.
    pub(super) fn is_test(&self) -> bool {
        let mut folders = self.path.split('/').rev().skip(1);
        self.path.ends_with("/tests.rs")
            || folders.any(|folder| folder == "tests" || folder == "test") && !self.path.starts_with("xtask/src/test/")
    }

    /// Whether a tool wrote it.
    pub(super) fn is_generated(&self) -> bool {
        self.path.contains("/generated/") || self.path.ends_with(".lock") || self.path.ends_with("package-lock.json")
    }

    /// The Rust code of a library or program, without comments, strings and tests.
    pub(super) fn library_code(&self) -> Option<&str> {
        if self.is_test() || !self.path.contains("/src/") {
            return None;
        }
        let code = &self.rust.as_ref()?.code;
        Some(
            code.split_once("mod tests {")
                .map_or(code.as_str(), |(library, _tests)| library),
        )
    }
}
