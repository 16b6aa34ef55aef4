//! The terminal: lines in, text out. Also a pipe, without prompts then.

use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;

use tokio::sync::mpsc;

use super::Failure;

/// Lines read ahead: one is enough for a person, and a pipe waits.
const LINES_AHEAD: usize = 1;

/// Where a person writes and reads.
pub(super) struct Terminal {
    lines: mpsc::Receiver<io::Result<String>>,
    is_person: bool,
}

/// What came in.
pub(super) enum Input {
    /// A line, without its end.
    Line(String),
    /// The input's end, or Ctrl-C at the prompt.
    End,
}

impl Terminal {
    /// Starts to read stdin, on a thread of its own: such reads can't be cancelled.
    pub(super) fn open() -> Result<Self, Failure> {
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
    pub(super) async fn read(&mut self, prompt: &str) -> Result<Input, Failure> {
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

    /// Writes text at once, as tokens come.
    pub(super) fn write(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Says something that is no part of the conversation, to people only.
    pub(super) fn note(&self, text: &str) {
        eprintln!("{text}");
    }
}

/// Ctrl-C, from now on: no longer the end of the process.
#[cfg(unix)]
pub(super) fn on_interrupt() -> Result<tokio::signal::unix::Signal, Failure> {
    Ok(tokio::signal::unix::signal(
        tokio::signal::unix::SignalKind::interrupt(),
    )?)
}

/// Ctrl-C, from now on: no longer the end of the process.
#[cfg(windows)]
pub(super) fn on_interrupt() -> Result<tokio::signal::windows::CtrlC, Failure> {
    Ok(tokio::signal::windows::ctrl_c()?)
}
