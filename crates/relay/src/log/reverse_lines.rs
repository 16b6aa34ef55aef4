//! Iterates over the lines of a file from its end, reading only as many blocks as needed.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};

/// Size of the blocks read: some hundred lines.
const BLOCK_BYTES: u64 = 64 << 10;

/// Longest line returned; longer ones are skipped, as none is written.
const MAX_LINE_BYTES: usize = 4 << 20;

/// Iterates over a file's lines, last first, without their line feeds. Text after the last line feed is no line yet.
#[derive(Debug)]
pub(crate) struct ReverseLines<F> {
    file: F,
    /// Length of the part of the file that is still unread.
    unread: u64,
    block_bytes: u64,
    /// The bytes read but not returned: the end of a line whose beginning may be unread.
    rest: VecDeque<u8>,
    /// True if `rest` ends with a complete line, that is after the first line feed from the end.
    is_line: bool,
}

impl<F: Read + Seek> ReverseLines<F> {
    pub(crate) fn new(file: F) -> io::Result<Self> {
        Self::with_block(file, BLOCK_BYTES)
    }

    /// Creates the iterator with another size of its blocks.
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
            // Only so much of a line is kept as shows that it is too long.
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

impl<F: Read + Seek> Iterator for ReverseLines<F> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}
