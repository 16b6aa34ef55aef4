//! Packs a built sidecar: a `tar.gz`, a Python wheel and an npm package of the program, and a wheel and an npm package
//! of the model.
//!
//! `cargo xtask dist` builds the program, fetches the model and starts this. In go two files, out come packages in one
//! folder. It builds nothing, fetches nothing, and publishes nothing. Equal inputs give equal bytes: times and owners
//! are left out.

mod error;
mod glibc;
mod licences;
mod npm;
mod payload;
mod platform;
mod process;
mod tarball;
mod wheel;

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::{
    error::{Context as _, Result},
    payload::{Model, Program},
    platform::Platform,
};

/// The name of the packages of the program, and of one of its two commands.
const PACKAGE: &str = "streaming-llm-sidecar";

/// The name of the packages of the default model. The sidecar looks for it beside its own npm package.
const MODEL_PACKAGE: &str = "streaming-llm-sidecar-smollm2";

/// What both packages have below their root; beside `bin/sidecar` it tells the sidecar that it is installed.
const SHARE: &str = "share/streaming-llm-sidecar";

#[derive(Parser)]
#[command(name = "sidecar-dist", about = "Packs a built sidecar")]
struct Arguments {
    /// The program
    #[arg(long)]
    program: PathBuf,
    /// The features that it was built with, for its licences
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// The default model's file
    #[arg(long)]
    model: PathBuf,
    /// The workspace's root
    #[arg(long)]
    root: PathBuf,
    /// Where the packages go; whatever is there is replaced
    #[arg(long)]
    out: PathBuf,
}

fn main() -> ExitCode {
    match pack(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.with_causes());
            ExitCode::FAILURE
        }
    }
}

fn pack(arguments: &Arguments) -> Result<()> {
    let out = &arguments.out;
    if out.exists() {
        fs::remove_dir_all(out).while_trying("remove", out)?;
    }
    fs::create_dir_all(out).while_trying("create", out)?;
    let program = Program::read(arguments)?;
    let platform = Platform::of_program(&program.bytes)?;
    let model = Model::read(arguments)?;
    let packages = [
        tarball::write(out, &program, &platform)?,
        wheel::write_program(out, &program, &platform)?,
        wheel::write_model(out, &model)?,
        npm::write_program(out, &program, &platform)?,
        npm::write_model(out, &model)?,
    ];
    for package in packages {
        let bytes = fs::metadata(&package).while_trying("read", &package)?.len();
        println!("{:>6.1} MB  {}", bytes as f64 / 1e6, package.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
