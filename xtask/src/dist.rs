//! `cargo xtask dist`: packages of the sidecar for people who don't build it, in `target/dist`.
//!
//! It builds the sidecar, fetches the default model, and lets the program `sidecar-dist` pack both; how, is said there.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    error::Result,
    model,
    process::{command, run},
    workspace::{FEATURE_SET, Workspace},
};

/// The folder below cargo's target folder.
const FOLDER: &str = "dist";

/// The program that packs.
const PROGRAM: &str = "sidecar-dist";

/// How the sidecar to be packed is built.
#[derive(Args)]
pub(crate) struct DistArguments {
    /// Builds the GPU engine in
    #[arg(long)]
    gpu: bool,
}

/// Builds the sidecar with the release profile and packs it.
pub(crate) fn build_and_pack(workspace: &Workspace, arguments: &DistArguments) -> Result<PathBuf> {
    let features: &[&str] = if arguments.gpu {
        &["streaming-llm-sidecar/gpu"]
    } else {
        &[]
    };
    let features = features.iter().flat_map(|feature| ["--features", feature]);
    let mut cargo = workspace.cargo(&[
        "build",
        "--release",
        "--locked",
        // Alone: in the whole workspace, it would have what tests ask for built in.
        "--package=streaming-llm-sidecar",
        "--bin=sidecar",
    ]);
    run(cargo.args(features))?;
    let program = workspace.target_folder().join("release").join("sidecar");
    pack(workspace, &program, if arguments.gpu { "gpu" } else { "" })
}

/// Packs a program that was built with these features; returns the folder of the packages.
pub(crate) fn pack(workspace: &Workspace, program: &Path, features: &str) -> Result<PathBuf> {
    let model = model::ensure(workspace)?;
    run(&mut workspace.cargo(&[&["build", "--bin", PROGRAM], &FEATURE_SET[..]].concat()))?;
    let out = workspace.target_folder().join(FOLDER);
    let packer = workspace.build_output().join(PROGRAM).to_string_lossy().into_owned();
    let arguments: [(&str, OsString); 5] = [
        ("--program", program.into()),
        ("--features", features.into()),
        ("--model", model.into()),
        ("--root", workspace.root().into()),
        ("--out", out.clone().into()),
    ];
    let arguments = arguments.into_iter().flat_map(|(name, value)| [name.into(), value]);
    run(&mut command::<OsString>(&packer, arguments))?;
    Ok(out)
}
