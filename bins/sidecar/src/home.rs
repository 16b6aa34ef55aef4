//! Where the sidecar works: the folder of `.env.sidecar`, `.agents`, `data` and `models`, and what lies beside an
//! installed program.
//!
//! In a checkout or a container it works where it is started. A package puts `bin/sidecar` and
//! `share/streaming-llm-sidecar` beside each other; such a sidecar is started from anywhere, and works in one place all
//! the same. Nothing here reads a setting but `STREAMING_LLM_HOME`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use etcetera::base_strategy::{BaseStrategy as _, choose_native_strategy};

use crate::error::HomeError;
use crate::settings::{AGENTS_DIR, DEFAULT_ENV_FILE, MODELS_DIR};

/// The variable that names the folder; it counts for every sidecar, installed or not.
pub const HOME_VARIABLE: &str = "STREAMING_LLM_HOME";

/// The name of the folder below the platform's data folder.
const FOLDER: &str = "streaming-llm-sidecar";

/// What a package puts beside `bin`.
const SHARE: &str = "share/streaming-llm-sidecar";

/// The file of [`SHARE`] that only a package brings: below `~/.local`, that folder is also the platform's data folder.
const PACKAGED_FILE: &str = "licences.txt";

/// The npm package of the default model, which npm puts beside that of the program.
const NPM_MODEL_PACKAGE: &str = "streaming-llm-sidecar-smollm2";

/// What the choice of the folder depends on.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The value of [`HOME_VARIABLE`].
    pub variable: Option<PathBuf>,
    /// The folder that the program was started in.
    pub working_folder: PathBuf,
    /// The folder that `bin` lies in, if the program is installed.
    pub prefix: Option<PathBuf>,
    /// Where the platform keeps the data of programs; `None` for a user without a home.
    pub data_folder: Option<PathBuf>,
}

impl Surroundings {
    /// Looks around.
    #[must_use]
    pub fn look() -> Self {
        Self {
            variable: env::var_os(HOME_VARIABLE)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            // A folder that was deleted has no path any more; settings with absolute paths still work in it.
            working_folder: env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            prefix: prefix(),
            data_folder: choose_native_strategy().ok().map(|strategy| strategy.data_dir()),
        }
    }

    /// The folder to work in.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        if let Some(folder) = &self.variable {
            return self.working_folder.join(folder);
        }
        let is_used = |name: &str| self.working_folder.join(name).exists();
        match (&self.prefix, &self.data_folder) {
            (Some(_), Some(data)) if !is_used(DEFAULT_ENV_FILE) && !is_used(AGENTS_DIR) => data.join(FOLDER),
            _ => self.working_folder.clone(),
        }
    }
}

/// Returns the folder to work in; `None` if it is the one that the program was started in.
#[must_use]
pub fn other_home() -> Option<PathBuf> {
    let surroundings = Surroundings::look();
    let home = surroundings.home();
    (home != surroundings.working_folder).then_some(home)
}

/// Makes a folder, if it isn't there, and enters it; relative settings are meant from there.
///
/// # Errors
/// The folder can't be made or entered.
pub fn enter(home: &Path) -> Result<(), HomeError> {
    let entered = fs::create_dir_all(home).and_then(|()| env::set_current_dir(home));
    entered.map_err(|source| HomeError::Enter {
        folder: home.to_owned(),
        source,
    })
}

/// The folders in which names of models are looked up: `models` where the sidecar works, then those that packages
/// brought.
#[must_use]
pub fn model_folders() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from(MODELS_DIR)];
    folders.extend(prefix().into_iter().flat_map(|prefix| packaged_models(&prefix)));
    folders
}

/// The folders of models that packages may have brought: that of an archive or a wheel, and npm's package of the model.
fn packaged_models(prefix: &Path) -> [PathBuf; 2] {
    let packages = [prefix.to_owned(), prefix.with_file_name(NPM_MODEL_PACKAGE)];
    packages.map(|package| package.join(SHARE).join(MODELS_DIR))
}

/// Returns true if a package brought this program.
#[must_use]
pub fn is_installed() -> bool {
    prefix().is_some()
}

fn prefix() -> Option<PathBuf> {
    prefix_of(&env::current_exe().and_then(fs::canonicalize).ok()?)
}

/// The folder that `bin` lies in, if the program is installed.
fn prefix_of(program: &Path) -> Option<PathBuf> {
    let prefix = program.parent()?.parent()?;
    prefix
        .join(SHARE)
        .join(PACKAGED_FILE)
        .is_file()
        .then(|| prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Surroundings), used: &[&str], expected: impl FnOnce(&Path) -> PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for name in used {
            fs::create_dir(folder.path().join(name)).expect("it is empty");
        }
        let mut surroundings = Surroundings {
            variable: None,
            working_folder: folder.path().to_owned(),
            prefix: Some(PathBuf::from("/opt/sidecar")),
            data_folder: Some(PathBuf::from("/data")),
        };
        change(&mut surroundings);
        assert_eq!(surroundings.home(), expected(folder.path()));
    }

    #[test]
    fn an_installed_sidecar_works_in_a_folder_that_is_used_or_in_the_platforms() {
        check(|_| {}, &[], |_| PathBuf::from("/data/streaming-llm-sidecar"));
        check(|_| {}, &[".agents"], Path::to_owned);
        check(|_| {}, &[".env.sidecar"], Path::to_owned);
        check(
            |_| {},
            &["data", "models"],
            |_| PathBuf::from("/data/streaming-llm-sidecar"),
        );
        check(|around| around.data_folder = None, &[], Path::to_owned);
    }

    #[test]
    fn a_sidecar_that_was_built_here_works_where_it_is_started() {
        check(|around| around.prefix = None, &[], Path::to_owned);
    }

    #[test]
    fn a_program_is_installed_where_its_package_lies_around_it() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let program = folder.path().join("bin/sidecar");
        let share = folder.path().join(SHARE);
        // `~/.local/share/streaming-llm-sidecar` with data of a program that was copied to `~/.local/bin`.
        fs::create_dir_all(share.join("data")).expect("it can be made");
        assert_eq!(prefix_of(&program), None);
        fs::write(share.join(PACKAGED_FILE), "").expect("it can be written");
        assert_eq!(prefix_of(&program).as_deref(), Some(folder.path()));
    }

    #[test]
    fn models_lie_in_the_package_or_in_npms_package_beside_it() {
        let models = packaged_models(Path::new("/node_modules/streaming-llm-sidecar"));
        assert_eq!(
            models,
            [
                "/node_modules/streaming-llm-sidecar/share/streaming-llm-sidecar/models",
                "/node_modules/streaming-llm-sidecar-smollm2/share/streaming-llm-sidecar/models"
            ]
            .map(PathBuf::from)
        );
    }

    #[test]
    fn the_variable_wins() {
        let set = |value: &'static str| move |around: &mut Surroundings| around.variable = Some(PathBuf::from(value));
        check(set("/srv/sidecar"), &[".agents"], |_| PathBuf::from("/srv/sidecar"));
        check(set("below"), &[], |folder| folder.join("below"));
    }
}
