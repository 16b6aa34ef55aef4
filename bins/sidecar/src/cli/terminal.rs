//! The terminal: lines in, text out. Works on a pipe too, without prompts.

use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;

use tokio::sync::mpsc;

use crate::error::CommandError;

/// Lines read ahead: one is enough for a person, and a pipe waits.
const LINES_AHEAD: usize = 1;

/// Reads lines from stdin and writes text to stdout.
pub(super) struct Terminal {
    lines: mpsc::Receiver<io::Result<String>>,
    is_person: bool,
}

/// What was read.
pub(super) enum Input {
    /// A line, without its end.
    Line(String),
    /// The end of the input, or Ctrl-C at the prompt.
    End,
}

impl Terminal {
    /// Starts to read stdin, on a thread of its own: such reads can't be cancelled.
    pub(super) fn open() -> Result<Self, CommandError> {
        let (sender, lines) = mpsc::channel(LINES_AHEAD);
        thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            for line in io::stdin().lock().lines() {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self {
            lines,
            is_person: io::stdin().is_terminal() && io::stdout().is_terminal(),
        })
    }

    /// Waits for a line.
    pub(super) async fn read(&mut self, prompt: &str) -> Result<Input, CommandError> {
        if self.is_person {
            self.write(prompt)?;
        }
        let mut interrupts = on_interrupt()?;
        tokio::select! {
            line = self.lines.recv() => match line {
                Some(line) => Ok(Input::Line(line?)),
                None => Ok(Input::End),
            },
            _ = interrupts.recv() => {
                self.write("\n")?;
                Ok(Input::End)
            }
        }
    }

    /// Writes text at once, as tokens arrive.
    pub(super) fn write(&self, text: &str) -> Result<(), CommandError> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Prints text that is no part of the conversation, on stderr.
    pub(super) fn print_note(&self, text: &str) {
        eprintln!("{text}");
    }
}

/// Listens for Ctrl-C, which from now on doesn't end the process.
#[cfg(unix)]
pub(super) fn on_interrupt() -> Result<tokio::signal::unix::Signal, CommandError> {
    Ok(tokio::signal::unix::signal(
        tokio::signal::unix::SignalKind::interrupt(),
    )?)
}

/// Listens for Ctrl-C, which from now on doesn't end the process.
#[cfg(windows)]
pub(super) fn on_interrupt() -> Result<tokio::signal::windows::CtrlC, CommandError> {
    Ok(tokio::signal::windows::ctrl_c()?)
}
