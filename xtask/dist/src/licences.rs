//! The text of the licence of every crate that is in the program.
//!
//! Texts come from the crates' own folders, with those of what a crate has taken in, such as a C library. For a crate
//! that is published without one, `xtask/dist/licences` may have it, from its repository; else it takes that of another
//! crate from the same repository, or, if its licence may be Apache-2.0, that licence's text, which names no holder. A
//! crate for which none of these holds is an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    error::{Context as _, DistError, Result},
    process::run,
};

/// How the names of files with a licence begin, in lower case.
const LICENCE_FILES: [&str; 5] = ["license", "licence", "copying", "unlicense", "notice"];

/// How such a file is not called: code that is about licences.
const CODE_ENDINGS: [&str; 4] = ["rs", "py", "json", "html"];

/// Texts of crates that are published without one, by their names.
const SUPPLIED: &str = "xtask/dist/licences";

/// Our own packages: their licences are packed beside this text.
const OWN_PREFIX: &str = "streaming-llm-";

/// A crate of the program.
#[derive(Debug, Clone)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The expression of its manifest.
    pub(crate) licence: String,
    /// Where it is developed; empty where it doesn't say.
    pub(crate) repository: String,
    /// What its licence files say.
    pub(crate) texts: Vec<String>,
    /// What the licence files below its folder say: those of code that it has taken in.
    pub(crate) vendored: Vec<String>,
}

/// Asks cargo about all packages.
pub(crate) fn metadata(root: &Path) -> Result<Value> {
    let printed = run(cargo(root).args(["metadata", "--format-version=1", "--locked"]))?;
    serde_json::from_slice(&printed).map_err(|error| DistError::Metadata {
        reason: error.to_string(),
    })
}

/// Returns the version of a package.
pub(crate) fn version_of(metadata: &Value, name: &str) -> Result<String> {
    let package = packages(metadata).find(|package| package["name"] == name);
    let version = package.and_then(|package| package["version"].as_str());
    version.map(str::to_owned).ok_or_else(|| DistError::Metadata {
        reason: format!("it has no version of {name}"),
    })
}

/// Returns one text with the licences of all crates of a program that was built with these features.
pub(crate) fn text(root: &Path, features: &[String], metadata: &Value) -> Result<String> {
    let in_program = crates_of_program(root, features)?;
    let mut crates = Vec::new();
    for package in packages(metadata) {
        let field = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
        let (name, version) = (field("name"), field("version"));
        if name.starts_with(OWN_PREFIX) || !in_program.contains(&format!("{name} v{version}")) {
            continue;
        }
        let manifest = PathBuf::from(field("manifest_path"));
        let folder = manifest.parent().unwrap_or(&manifest);
        let (mut texts, vendored) = licence_files(folder)?;
        let supplied = root.join(SUPPLIED).join(format!("{name}.txt"));
        if texts.is_empty() && supplied.exists() {
            texts.push(fs::read_to_string(&supplied).while_trying("read", &supplied)?);
        }
        crates.push(Crate {
            name,
            version,
            licence: field("license"),
            repository: field("repository"),
            texts,
            vendored,
        });
    }
    let apache = root.join("LICENSE-APACHE");
    let apache = fs::read_to_string(&apache).while_trying("read", &apache)?;
    complete(&mut crates, &apache)?;
    Ok(listing(&crates))
}

/// Gives a text to the crates that come without one.
pub(crate) fn complete(crates: &mut [Crate], apache: &str) -> Result<()> {
    let of_repository: BTreeMap<String, Vec<String>> = crates
        .iter()
        .filter(|found| !found.texts.is_empty() && !found.repository.is_empty())
        .map(|found| (found.repository.clone(), found.texts.clone()))
        .collect();
    let mut missing = Vec::new();
    for without in crates.iter_mut().filter(|found| found.texts.is_empty()) {
        if let Some(texts) = of_repository.get(&without.repository) {
            without.texts.clone_from(texts);
        } else if may_be_apache(&without.licence) {
            without.texts.push(apache.to_owned());
        } else {
            missing.push(format!("{} {} ({})", without.name, without.version, without.licence));
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(DistError::MissingLicences { crates: missing })
    }
}

/// Returns true if one may choose Apache-2.0: it is the whole expression or a side of an `OR`.
fn may_be_apache(expression: &str) -> bool {
    let sides = expression.split([' ', '/', '(', ')']).collect::<Vec<_>>();
    sides.contains(&"Apache-2.0") && !sides.contains(&"AND")
}

/// Lists the crates, each text once, with the crates that it is of above it.
pub(crate) fn listing(crates: &[Crate]) -> String {
    let mut of_text: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for listed in crates {
        for text in listed.texts.iter().chain(&listed.vendored) {
            let name = format!("{} {} ({})", listed.name, listed.version, listed.licence);
            of_text.entry(text.trim()).or_default().push(name);
        }
    }
    let mut of_text: Vec<(&str, Vec<String>)> = of_text.into_iter().collect();
    of_text.sort_by(|(_, a), (_, b)| a.cmp(b));
    let mut whole =
        String::from("The licences of the libraries in this program, each below the libraries that it is of.\n");
    for (text, names) in of_text {
        let line = "=".repeat(100);
        // Writing to a string never fails.
        let _ = write!(whole, "\n{line}\n{}\n{line}\n\n{text}\n", names.join("\n"));
    }
    whole
}

/// The names and versions (`serde v1.0.0`) of what is linked into the program.
fn crates_of_program(root: &Path, features: &[String]) -> Result<BTreeSet<String>> {
    let mut tree = cargo(root);
    tree.args(["tree", "--locked", "--package=streaming-llm-sidecar", "--edges=normal"]);
    tree.args(["--prefix=none", "--format={p}"]);
    tree.arg(format!("--features={}", features.join(",")));
    let printed = run(&mut tree)?;
    let printed = String::from_utf8_lossy(&printed);
    let lines = printed.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some(format!("{} {}", words.next()?, words.next()?))
    });
    Ok(lines.collect())
}

/// The texts of the licence files in a crate's folder, and of those in folders below it.
pub(crate) fn licence_files(folder: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let (mut own, mut vendored, mut folders) = (Vec::new(), Vec::new(), vec![folder.to_owned()]);
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(&below).while_trying("read", &below)? {
            let path = entry.while_trying("read", &below)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if is_licence(&path) {
                if below == folder { &mut own } else { &mut vendored }.push(path);
            }
        }
    }
    Ok((read_sorted(own)?, read_sorted(vendored)?))
}

fn read_sorted(mut paths: Vec<PathBuf>) -> Result<Vec<String>> {
    paths.sort();
    let texts = paths.iter().map(|path| {
        fs::read(path)
            .while_trying("read", path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    });
    texts.collect()
}

fn is_licence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_code = path
        .extension()
        .is_some_and(|ending| CODE_ENDINGS.iter().any(|code| ending == *code));
    !is_code && LICENCE_FILES.iter().any(|start| name.starts_with(start))
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}
