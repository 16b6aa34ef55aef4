//! `cargo xtask test`: every test of the project, with whatever it needs installed first.
//!
//! A step that fails doesn't keep the next ones from running, unless they need what it makes. The last line
//! says `N passed, M failed`, Rust and TypeScript together; each check that isn't a test runner counts as one.

mod autobahn;
mod docker;
mod installed;
mod packages;
pub(crate) mod python;
mod rust;
mod schemathesis;
mod tally;
mod tools;
mod typescript;

use std::{process::ExitCode, thread, time::Instant};

use self::{installed::Packages, python::PythonTools, rust::RustTests, tally::Tally, typescript::TypeScriptTests};
use crate::{
    model,
    tidy::{self, TidyArguments},
    workspace::Workspace,
};

/// Runs everything; success only if nothing failed.
pub(crate) fn run(workspace: &Workspace) -> ExitCode {
    let mut tally = Tally::new();
    let python = PythonTools::new(workspace);
    let rust = RustTests::new(workspace, &python);
    check_the_tree(workspace, &mut tally);
    if tally.prepare("Python packages", || python.ensure()) {
        tally.check("compose file", || docker::check_compose_file(workspace, &python));
        tally.check("Dockerfile", || docker::check_dockerfile(workspace, &python));
    }
    tally.prepare("default model", || model::ensure(workspace).map(drop));
    tally.prepare("software GPU driver", tools::ensure_vulkan_driver);
    let has_programs = run_rust_tests(workspace, &rust, &mut tally);
    let has_gpu_tests = tally.prepare("GPU tests, compiled", || rust.build_gpu_tests());
    thread::scope(|scope| {
        let start = Instant::now();
        let gpu_tests = has_gpu_tests.then(|| scope.spawn(|| rust.gpu_tests()));
        if has_programs {
            test_conformance(workspace, &python, &mut tally);
        }
        run_typescript_tests(workspace, &mut tally);
        if let Some(gpu_tests) = gpu_tests {
            let counts = gpu_tests.join().expect("the step doesn't panic");
            tally.add("GPU tests, beside the steps before", start, counts);
        }
    });
    if has_programs {
        try_packages(workspace, &python, &mut tally);
    }
    // Last among the Rust steps: it compiles every dependency once more, for its metadata.
    tally.check("clippy", || rust.clippy());
    tally.check("documentation", || rust.documentation());
    tally.finish()
}

/// What needs no build: seconds, so its findings come first.
fn check_the_tree(workspace: &Workspace, tally: &mut Tally) {
    tally.check("formatting", || {
        crate::process::run(&mut workspace.cargo(&["fmt", "--all", "--check", "--message-format=short"]))
    });
    tally.check("tidy", || tidy::run(workspace, &TidyArguments::default()));
    tally.check("dependencies", || tools::check_dependencies(workspace));
    tally.check("packages", || packages::check(workspace));
}

/// Says whether the examples are built.
fn run_rust_tests(workspace: &Workspace, rust: &RustTests<'_>, tally: &mut Tally) -> bool {
    if tally.prepare("cargo-nextest", || tools::ensure_nextest(workspace)) {
        tally.count("Rust tests", || rust.nextest());
    }
    let is_built = tally.prepare("examples and binaries", || rust.build_programs());
    if is_built {
        for example in rust.examples() {
            tally.check(&format!("example {example}"), || rust.run_example(example));
        }
    }
    tally.count("Rust documentation tests", || rust.doc_tests());
    is_built
}

fn test_conformance(workspace: &Workspace, python: &PythonTools<'_>, tally: &mut Tally) {
    tally.count("WebSocket conformance", || autobahn::test(workspace, python));
    tally.count("HTTP conformance", || schemathesis::test(workspace, python));
    tally.count("HTTP conformance, without a key", || {
        schemathesis::test_without_key(workspace, python)
    });
}

fn run_typescript_tests(workspace: &Workspace, tally: &mut Tally) {
    let typescript = TypeScriptTests::new(workspace);
    if tally.prepare("npm packages", || typescript.install()) {
        tally.check("TypeScript types", || typescript.script("check"));
        tally.check("TypeScript build", || typescript.script("build"));
        tally.count("TypeScript tests", || typescript.vitest());
    }
}

/// Packs the sidecar, and installs each package as a user would.
fn try_packages(workspace: &Workspace, python: &PythonTools<'_>, tally: &mut Tally) {
    let mut packages = None;
    tally.check("packages to install", || {
        packages = Some(Packages::pack(workspace, python)?);
        Ok(())
    });
    if let Some(packages) = packages {
        tally.check("Python wheels", || packages.wheels_answer());
        tally.check("npm packages to install", || packages.npm_packages_answer());
        tally.check("archive", || packages.archive_answers());
    }
}

#[cfg(test)]
mod tests;
