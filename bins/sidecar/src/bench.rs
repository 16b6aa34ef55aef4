//! `sidecar bench`: how fast a model is on this machine, part by part.
//!
//! Arguments, checked before anything is loaded, and a model go in; a table for people or JSON for programs comes out,
//! and a chart on request. A number is the median of a few runs. Nothing here is compared with another program
//! (`cargo xtask bench-peers` does that), and nothing is served or stored.

mod arguments;
mod bandwidth;
mod engine_parts;
mod model_parts;
mod plan;
mod policy;
mod prompts;
mod report;
mod sample;
mod svg;
mod table;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::CommandError;
use crate::home::model_folders;
use crate::settings::{Settings, resolve_model};
use plan::Plan;
use report::Report;

pub(crate) use arguments::BenchArguments;

/// Runs `bench`.
///
/// # Errors
/// Arguments out of range, a model that can't be loaded, or a file that can't be written.
pub(crate) fn bench(mut settings: Settings, arguments: &BenchArguments) -> Result<(), CommandError> {
    let plan = Plan::new(arguments)?;
    settings.threads = arguments.threads.or(settings.threads);
    let model = arguments.model.as_ref().unwrap_or(&settings.model);
    let model = resolve_model(model, &model_folders())?;
    // Before minutes of measuring, so that a folder that doesn't exist costs none of them.
    let svg_file = arguments.svg.as_deref().map(SvgFile::create).transpose()?;
    let report = measure(&settings, &model, &plan)?;
    if let Some(file) = svg_file {
        file.write(&svg::render(&report))?;
    }
    if arguments.json {
        println!("{}", report.json(arguments.ids));
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

/// Measures every part of the plan, those of a whole engine first: the memory that they report is that of a fresh
/// process.
fn measure(settings: &Settings, path: &Path, plan: &Plan) -> Result<Report, CommandError> {
    let mut report = Report::new(path, settings);
    if plan.needs_engine() {
        engine_parts::measure(settings, path, plan, &mut report)?;
    }
    if let Some(memory) = plan.memory {
        report.bandwidth = Some(bandwidth::measure(memory, settings.threads)?);
    }
    if plan.needs_model() {
        model_parts::measure(settings, path, plan, &mut report)?;
    }
    Ok(report)
}

/// A file for the chart, created before it is known what to write.
struct SvgFile {
    path: PathBuf,
    file: File,
}

impl SvgFile {
    fn create(path: &Path) -> Result<Self, CommandError> {
        let file = File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    fn write(mut self, chart: &str) -> Result<(), CommandError> {
        let written = self.file.write_all(chart.as_bytes());
        Ok(written.map_err(|error| format!("cannot write {}: {error}", self.path.display()))?)
    }
}
