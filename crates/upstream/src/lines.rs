//! Bytes go in as they arrive, the lines of an answer come out; never more than one line is held.

use crate::UpstreamError;

/// How a server sets the pieces of an answer apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// One JSON object a line (`application/x-ndjson`); empty lines mean nothing.
    Lines,
    /// Server-sent events (`text/event-stream`): the `data` of each; comments and other fields mean nothing.
    Events,
}

/// Takes an answer apart into its pieces.
#[derive(Debug)]
pub struct LineReader {
    framing: Framing,
    /// A line whose end hasn't come.
    line: Vec<u8>,
    /// The data of an event whose end hasn't come.
    event: Option<String>,
}

impl LineReader {
    /// The most that one piece may have. Tokens take hundreds of bytes; a tool call that writes a file may take this much.
    pub const LONGEST_LINE_BYTES: usize = 1 << 20;

    /// Nothing read yet.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            line: Vec::new(),
            event: None,
        }
    }

    /// Takes bytes as they arrived, cut anywhere, and adds the pieces that they complete to `pieces`: also those before an error, so
    /// that what is read of an answer doesn't depend on how the network cut it.
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

    /// Takes the end of the body, and gives the piece that it may complete.
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

    /// One line of an event: `data: …` is kept, everything else means nothing to an answer.
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
