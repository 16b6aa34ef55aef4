//! `cargo xtask kernels`: the tests of the crates with kernels, where the processor at hand can't run them by itself.
//!
//! In valgrind, which follows every byte of memory; or as an ARM processor, in qemu, after clippy has checked what is
//! compiled for that processor alone. Both take minutes, the former many unless a test is named, and programs that only
//! they need, and so are no part of the test command.

use clap::{Args, ValueEnum};

use crate::{error::Result, process::run, workspace::Workspace};

/// The crates with kernels, and the memory that they read.
const CRATES: [&str; 8] = [
    "--locked",
    "--lib",
    "--package",
    "streaming-llm-quant",
    "--package",
    "streaming-llm-kv-cache",
    "--package",
    "streaming-llm-large-pages",
];

/// What valgrind finds is a failure.
const IN_VALGRIND: [&str; 2] = [
    "--config",
    r#"target.'cfg(all())'.runner = ["valgrind", "--quiet", "--error-exitcode=1"]"#,
];

/// Linked statically, so that qemu needs no libraries of that processor.
const ON_AARCH64: [&str; 8] = [
    "--target",
    "aarch64-unknown-linux-gnu",
    "--config",
    r#"target.aarch64-unknown-linux-gnu.linker = "aarch64-linux-gnu-gcc""#,
    "--config",
    r#"target.aarch64-unknown-linux-gnu.rustflags = ["-Ctarget-feature=+crt-static"]"#,
    "--config",
    r#"target.aarch64-unknown-linux-gnu.runner = ["qemu-aarch64"]"#,
];

/// A warning fails it, as in the test command.
const CLIPPY_FLAGS: [&str; 2] = ["--", "--deny=warnings"];

/// What the tests run in.
#[derive(Args)]
pub(crate) struct KernelArguments {
    emulator: Emulator,
    /// Only tests with this in their names
    test: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Emulator {
    /// This processor, with every access to memory followed; needs valgrind
    Valgrind,
    /// Another processor; needs qemu-aarch64, aarch64-linux-gnu-gcc and Rust's libraries for aarch64-unknown-linux-gnu
    Aarch64,
}

/// Builds the tests and runs them to their end; lints first what only another processor's compiler reads.
pub(crate) fn test(workspace: &Workspace, arguments: &KernelArguments) -> Result<()> {
    let options = match arguments.emulator {
        Emulator::Valgrind => &IN_VALGRIND[..],
        Emulator::Aarch64 => {
            let clippy = [&["clippy"], &CRATES[..], &ON_AARCH64, &CLIPPY_FLAGS];
            run(&mut workspace.cargo(&clippy.concat()))?;
            &ON_AARCH64[..]
        }
    };
    let name = arguments.test.as_deref();
    run(&mut workspace.cargo(&[&["test"], &CRATES[..], options, name.as_slice()].concat()))
}
