//! `cargo xtask bench-peers`: the sidecar's model against llama.cpp's own server, in turn on the same files.
//!
//! A round is `sidecar bench` in a process of its own, then llama.cpp (PyPI's `xllamacpp`) on the same file, the same
//! token ids and as many threads, each freshly started. What else the machine does meets both, so the result is the
//! median of the rounds' ratios; tokens a second mean something on this machine only. `fixtures/peers` has what
//! llama.cpp is asked.

mod comparison;
mod files;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    error::{Context as _, Result, XtaskError},
    model,
    process::{command, output, output_with_errors_to, run},
    test::python::PythonTools,
    workspace::{FEATURE_SET, Workspace},
};
use comparison::{Comparison, Speeds};
use files::Format;

/// What llama.cpp is asked, below the root.
const LLAMA_CPP: &str = "fixtures/peers/llama_cpp_bench.py";

/// Token ids of a text, below the root: 1,101 of them.
const TOKENS: &str = "fixtures/reference/tokens.u16le.bin";

/// What is compared, and how long it takes.
#[derive(Args)]
pub(crate) struct PeersArguments {
    /// Block types, separated by commas: q4_1, q8_0, q4_0
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',', default_value = "q4_1,q8_0,q4_0", value_parser = Format::parse)]
    formats: Vec<Format>,
    /// Rounds, of which the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Threads of each program
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: u64,
    /// Tokens of the prompt that is read
    #[arg(long, value_name = "N", default_value_t = 512)]
    prefill: usize,
    /// Contexts after which 128 tokens are decoded
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "128,1024")]
    decode: Vec<usize>,
    /// Conversations at once, 128 tokens in and 128 out
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "8")]
    conversations: Vec<usize>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Makes what is missing, measures, and prints.
pub(crate) fn compare(workspace: &Workspace, arguments: &PeersArguments) -> Result<()> {
    let python = PythonTools::peers(workspace);
    python.ensure()?;
    let original = model::ensure(workspace)?;
    run(&mut workspace.cargo(&[&["build"], &FEATURE_SET[..], &["--bin", "sidecar"]].concat()))?;
    let folder = workspace.build_output().join("bench-peers");
    fs::create_dir_all(&folder).while_trying("create", &folder)?;
    let mut results = Vec::new();
    for &format in &arguments.formats {
        let file = files::ensure(workspace, &python, (&original, &folder), format)?;
        let round = Round {
            workspace,
            python: &python,
            folder: &folder,
            file: &file,
            arguments,
        };
        let mut comparison = Comparison::new(format.name());
        for number in 1..=arguments.rounds {
            eprintln!("{}: round {number} of {}", format.name(), arguments.rounds);
            let report = round.sidecar()?;
            comparison.add(Speeds::of_sidecar(&report)?, round.llama_cpp(&report)?);
        }
        if !arguments.json {
            println!("{}", comparison.table(arguments.threads));
        }
        results.push(comparison);
    }
    if arguments.json {
        let formats: Vec<Value> = results.iter().map(Comparison::json).collect();
        println!(
            "{}",
            json!({ "threads": arguments.threads, "rounds": arguments.rounds, "formats": formats })
        );
    } else {
        print!("{}", comparison::WHAT_IS_COMPARED);
    }
    Ok(())
}

/// One file, measured once by each program.
struct Round<'a> {
    workspace: &'a Workspace,
    python: &'a PythonTools<'a>,
    /// Where reports and logs are left.
    folder: &'a Path,
    file: &'a Path,
    arguments: &'a PeersArguments,
}

impl Round<'_> {
    /// The report of `sidecar bench`, which has the ids of every prompt.
    fn sidecar(&self) -> Result<Value> {
        let program = self.workspace.build_output().join("sidecar");
        let mut sidecar = command(&program.to_string_lossy(), ["bench", "--json", "--ids", "--repeat=1"]);
        // Settings of the person who runs this don't belong to the comparison: not the environment's, not those of a
        // file in this folder.
        for (name, _value) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STREAMING_LLM_") {
                sidecar.env_remove(name);
            }
        }
        sidecar
            .current_dir(self.folder)
            .env("STREAMING_LLM_DEVICE", "cpu")
            .arg("--model")
            .arg(self.file)
            .arg("--tokens")
            .arg(self.workspace.root().join(TOKENS))
            .arg(format!("--threads={}", self.arguments.threads))
            .arg(format!("--prefill={}", self.arguments.prefill))
            .arg(format!("--decode={}", listed(&self.arguments.decode)))
            .arg(format!("--conversations={}", listed(&self.arguments.conversations)));
        parsed("the report of sidecar bench", &output(&mut sidecar)?)
    }

    /// What llama.cpp makes of the same work.
    fn llama_cpp(&self, report: &Value) -> Result<Speeds> {
        let path = self.folder.join("report.json");
        fs::write(&path, report.to_string()).while_trying("write", &path)?;
        let alone = self.ask_llama_cpp(&path, 0)?;
        let together = self
            .arguments
            .conversations
            .iter()
            .map(|&count| self.ask_llama_cpp(&path, count));
        Speeds::of_llama_cpp(&alone, &together.collect::<Result<Vec<_>>>()?)
    }

    fn ask_llama_cpp(&self, report: &Path, conversations: usize) -> Result<Value> {
        let log = self.folder.join("llama-cpp.log");
        let log_file = File::create(&log).while_trying("create", &log)?;
        let script = self.workspace.root().join(LLAMA_CPP);
        let mut python = command(&self.python.interpreter(), [script.as_path(), self.file, report]);
        python
            .arg(format!("--threads={}", self.arguments.threads))
            .arg(format!("--conversations={conversations}"));
        let printed = output_with_errors_to(&mut python, log_file.into()).map_err(|error| XtaskError::Report {
            what: format!("llama.cpp's speeds (its log is {})", log.display()),
            reason: error.with_causes(),
        })?;
        parsed("llama.cpp's speeds", &printed)
    }
}

fn listed(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn parsed(what: &str, text: &str) -> Result<Value> {
    // llama.cpp may say more than it is asked; the answer is the last line.
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| XtaskError::Report {
        what: what.to_owned(),
        reason: error.to_string(),
    })
}

/// The file that a format is measured with, and a name that no other has while it is made.
fn half_made(file: &Path) -> PathBuf {
    file.with_extension(format!("part-{}", std::process::id()))
}
