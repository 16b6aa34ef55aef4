//! Starting other programs: each is run to its end, and a failure names the whole command line.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::error::{Result, XtaskError};

/// How often a program with a time limit is asked whether it has ended: unnoticed by a person, cheap for the machine.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A program that runs beside this one, until it is dropped.
pub(crate) struct Background {
    child: Child,
}

impl Background {
    /// Starts a program and waits for the line that begins with `sign`; gives what follows on it.
    pub(crate) fn start(command: &mut Command, sign: &str) -> Result<(Self, String)> {
        let mut background = Self {
            child: start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?,
        };
        let stdout = background.child.stdout.take();
        let mut lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
        let rest = lines.find_map(|line| line.ok()?.strip_prefix(sign).map(str::to_owned));
        let rest = rest.ok_or_else(|| XtaskError::Failed {
            command: line(command),
            status: format!("it never printed {sign:?}"),
        })?;
        Ok((background, rest))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // One that has ended by itself is gone all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program with its arguments, not started yet.
pub(crate) fn command<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// `cargo` with arguments, as if it had been typed: without the variables that `cargo run` sets for this
/// tool, which would otherwise make build scripts run again.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut cargo = command(&program, arguments);
    for (name, _value) in std::env::vars_os() {
        if name.to_str().is_some_and(is_set_by_cargo_run) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs a program with this one's input and output; an error unless it ends with success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = start(command)?.wait();
    succeed(command, status.map_err(|source| started_wrong(command, source))?)
}

/// Runs a program with this one's output and ends it when `limit` is over.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = start(command)?;
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait().map_err(|source| started_wrong(command, source))? {
            Some(status) => return succeed(command, status),
            None if Instant::now() < deadline => thread::sleep(POLL_INTERVAL),
            None => {
                child
                    .kill()
                    .and_then(|()| child.wait())
                    .map_err(|source| started_wrong(command, source))?;
                let status = format!("still running after {} s", limit.as_secs());
                return Err(XtaskError::Failed {
                    command: line(command),
                    status,
                });
            }
        }
    }
}

/// Runs a program quietly; gives what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    output_with_errors_to(command, Stdio::inherit())
}

/// As [`output`], with what it says to standard error elsewhere than to this one's.
pub(crate) fn output_with_errors_to(command: &mut Command, errors: Stdio) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(errors)
        .output()
        .map_err(|source| started_wrong(command, source))?;
    succeed(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program, showing its lines as they come; gives them and whether it ended with success.
pub(crate) fn tee(command: &mut Command) -> Result<(String, bool)> {
    let mut child = start(command.stdout(Stdio::piped()))?;
    let stdout = child.stdout.take().expect("stdout was piped in this function");
    let mut text = String::new();
    for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
        println!("{line}");
        text.push_str(&line);
        text.push('\n');
    }
    let status = child.wait().map_err(|source| started_wrong(command, source))?;
    Ok((text, status.success()))
}

/// Whether a program runs at all and ends with success, without showing anything.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn start(command: &mut Command) -> Result<std::process::Child> {
    command.spawn().map_err(|source| started_wrong(command, source))
}

fn succeed(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    Err(XtaskError::Failed {
        command: line(command),
        status: status.to_string(),
    })
}

fn started_wrong(command: &Command, source: std::io::Error) -> XtaskError {
    XtaskError::Start {
        command: line(command),
        source,
    }
}

fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(OsStr::to_string_lossy));
    words.join(" ")
}

fn is_set_by_cargo_run(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_PRIMARY_PACKAGE"
}
