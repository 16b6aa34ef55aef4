//! The lines of a file from its end, without reading the file: blocks in, whole lines out.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};

/// Read at a time: some hundred lines.
const BLOCK_BYTES: u64 = 64 << 10;

/// A line that is longer is left out: none is written.
const MAX_LINE_BYTES: usize = 4 << 20;

/// Goes through a file's lines, the last first, without their line feeds. What follows the last line feed is no line yet.
#[derive(Debug)]
pub(crate) struct Backwards<F> {
    file: F,
    /// Everything before it is still to be read.
    unread: u64,
    block_bytes: u64,
    /// The beginning of what was read: the end of a line whose beginning is unread.
    rest: VecDeque<u8>,
    /// Whether `rest` ends with a whole line: not before the first line feed from the end.
    is_line: bool,
}

impl<F: Read + Seek> Backwards<F> {
    pub(crate) fn new(file: F) -> io::Result<Self> {
        Self::with_block(file, BLOCK_BYTES)
    }

    /// The same, reading so many bytes at a time.
    pub(crate) fn with_block(mut file: F, block_bytes: u64) -> io::Result<Self> {
        let unread = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            unread,
            block_bytes,
            rest: VecDeque::new(),
            is_line: false,
        })
    }

    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            let unsearched = self.rest.len() - searched;
            if let Some(feed) = self.rest.iter().take(unsearched).rposition(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(feed..).skip(1).collect();
                let was_line = std::mem::replace(&mut self.is_line, true);
                searched = 0;
                if was_line && line.len() <= MAX_LINE_BYTES {
                    return Ok(Some(line));
                }
                continue;
            }
            if self.unread == 0 {
                let was_line = std::mem::replace(&mut self.is_line, false);
                let line: Vec<u8> = self.rest.drain(..).collect();
                return Ok((was_line && line.len() <= MAX_LINE_BYTES).then_some(line));
            }
            // Of a line that is too long only so much is kept as shows that it is.
            self.rest.truncate(MAX_LINE_BYTES + 1);
            searched = self.rest.len();
            self.read_block()?;
        }
    }

    fn read_block(&mut self) -> io::Result<()> {
        let length = self.unread.min(self.block_bytes);
        self.unread -= length;
        self.file.seek(SeekFrom::Start(self.unread))?;
        let mut block = Vec::new();
        self.file.by_ref().take(length).read_to_end(&mut block)?;
        for byte in block.into_iter().rev() {
            self.rest.push_front(byte);
        }
        Ok(())
    }
}

impl<F: Read + Seek> Iterator for Backwards<F> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}
