//! Splits an answer into lines or events as its bytes arrive; never holds more than one of them.

use crate::UpstreamError;

/// How the pieces of an answer are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// One JSON object a line (`application/x-ndjson`); empty lines are ignored.
    Lines,
    /// Server-sent events (`text/event-stream`): the `data` of each; comments and other fields are ignored.
    Events,
}

/// Splits an answer into its pieces.
#[derive(Debug)]
pub struct LineReader {
    framing: Framing,
    /// The line whose end hasn't arrived.
    line: Vec<u8>,
    /// The data of the event whose end hasn't arrived.
    event: Option<String>,
}

impl LineReader {
    /// Most bytes of one piece. Tokens take hundreds of bytes; a call of a tool that writes a file may take this many.
    pub const LONGEST_LINE_BYTES: usize = 1 << 20;

    /// Creates a reader at the start of an answer.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            line: Vec::new(),
            event: None,
        }
    }

    /// Takes the next bytes, cut anywhere, and appends the pieces that they complete to `pieces`, also those before an
    /// error, so that the pieces of an answer don't depend on how the network cut it.
    ///
    /// # Errors
    /// [`UpstreamError::LineTooLong`] and [`UpstreamError::NotUtf8`].
    pub fn push(&mut self, mut bytes: &[u8], pieces: &mut Vec<String>) -> Result<(), UpstreamError> {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.extend(&bytes[..end])?;
            bytes = &bytes[end + 1..];
            pieces.extend(self.end_line()?);
        }
        self.extend(bytes)
    }

    /// Takes the end of the body, and returns the piece that it completes, if any.
    ///
    /// # Errors
    /// [`UpstreamError::LineTooLong`] and [`UpstreamError::NotUtf8`].
    pub fn finish(&mut self) -> Result<Option<String>, UpstreamError> {
        let last = self.end_line()?;
        Ok(last.or_else(|| self.event.take()))
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), UpstreamError> {
        let held = self.line.len() + self.event.as_ref().map_or(0, String::len);
        if held + bytes.len() > Self::LONGEST_LINE_BYTES {
            return Err(UpstreamError::LineTooLong {
                limit_bytes: Self::LONGEST_LINE_BYTES,
            });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<String>, UpstreamError> {
        let bytes = std::mem::take(&mut self.line);
        let mut line = String::from_utf8(bytes).map_err(|source| UpstreamError::NotUtf8 { source })?;
        if line.ends_with('\r') {
            line.pop();
        }
        Ok(match self.framing {
            Framing::Lines => Some(line).filter(|line| !line.trim().is_empty()),
            Framing::Events if line.is_empty() => self.event.take(),
            Framing::Events => {
                self.read_field(&line);
                None
            }
        })
    }

    /// Takes one line of an event: `data: …` is kept, all other fields are ignored.
    fn read_field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name != "data" {
            return;
        }
        let value = value.strip_prefix(' ').unwrap_or(value);
        match &mut self.event {
            Some(event) => {
                event.push('\n');
                event.push_str(value);
            }
            None => self.event = Some(value.to_owned()),
        }
    }
}
