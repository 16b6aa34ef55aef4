//! What could be published, packed as the registry would get it.
//!
//! Nothing is built and nothing leaves the machine: it shows that every manifest could be published as it is.

use crate::{
    error::{Result, XtaskError},
    process::run,
    workspace::{Package, Workspace},
};

/// What the registry refuses a package without, and cargo only warns of.
const NEEDED: [&str; 2] = ["description", "license"];

/// Packs every package that may be published.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let (published, kept): (Vec<_>, Vec<_>) = workspace.packages().partition(Package::may_be_published);
    for package in published {
        if let Some(field) = NEEDED.into_iter().find(|field| package.field(field).is_empty()) {
            let file = package.folder.join("Cargo.toml").display().to_string();
            let reason = format!("no {field}, which the registry asks for");
            return Err(XtaskError::Broken { file, reason });
        }
    }
    // Offline, since cargo would ask for the index once more for each package: a minute in place of seconds.
    run(&mut workspace.cargo(&["fetch", "--locked", "--quiet"]))?;
    let mut pack = workspace.cargo(&["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"]);
    pack.args(["--locked", "--offline"]);
    pack.args(kept.iter().map(|package| format!("--exclude={}", package.name)));
    run(&mut pack)
}
