//! `cargo xtask tidy`: the conventions that no lint checks, read off the text of the tree.
//!
//! It sees every file that git would commit, code for other platforms and other features too, and it needs
//! no build. It never changes a file. What clippy or rustc has a lint for is no rule here, but a line of the root
//! Cargo.toml or of .clippy.toml.

mod arrows;
mod blank;
mod circles;
mod file;
mod layout;
mod modules;
mod numbers;
mod rust;
mod typescript;
mod words;

use std::fmt;

use self::file::File;
use crate::{
    error::{Result, XtaskError},
    workspace::Workspace,
};

/// One broken convention.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// A convention: looks at one file, and adds what breaks it.
type Rule = fn(&File, &mut Vec<Finding>);

const RULES: &[Rule] = &[
    layout::file_fits_one_sitting,
    layout::example_fits_a_screen,
    layout::file_is_small,
    layout::prose_is_wrapped,
    layout::starts_with_its_purpose,
    words::path_says_what_it_is,
    words::declared_name_says_what_it_is,
    words::name_has_no_private_word,
    words::prose_has_no_private_phrase,
    words::no_unfinished_mark,
    words::no_registry_host,
    words::no_machine_path,
    rust::unsafe_is_where_it_may_be,
    rust::no_test_is_ignored,
    rust::test_does_not_sleep,
    typescript::nothing_is_switched_off,
    typescript::client_is_typed_and_quiet,
];

/// What `cargo xtask tidy` is asked for.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TidyArguments {
    /// Prints how large the code is and how it hangs together, and checks nothing
    #[arg(long)]
    numbers: bool,
}

/// Prints every broken convention of the tree, or its numbers.
///
/// # Errors
/// [`XtaskError::Untidy`] if a convention is broken.
pub(crate) fn run(workspace: &Workspace, arguments: &TidyArguments) -> Result<()> {
    let files = file::all(workspace.root())?;
    if arguments.numbers {
        numbers::print(&files);
        return Ok(());
    }
    let mut findings = Vec::new();
    for file in &files {
        look_at(file, &mut findings);
    }
    circles::check(&files, &mut findings);
    arrows::check(workspace, &mut findings)?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(XtaskError::Untidy { count: findings.len() })
    }
}

fn look_at(file: &File, findings: &mut Vec<Finding>) {
    for rule in RULES {
        rule(file, findings);
    }
}

#[cfg(test)]
mod tests;
